"""A fault in the NPU, one wrong bit of a scale: the suite fails, names the place, and writes a bundle."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.harness.results import open_results
from tests.support.blobs import model_file, write
from tests.support.injected_code import FAULT

TEST = "def test_equal(parity):\n    assert parity.mismatches == 0\n"


@pytest.fixture
def fresh_store(tmp_path: Path, store: Path, blobs_int8: Path) -> Path:
    """The blobs' store without anything that ran on `sim`: a fault that is planted at run time has no recipe."""
    assert blobs_int8.is_file()
    copy = tmp_path / "store"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("sim", "locks", "unfinished"))
    return copy


def again(folder: Path, *, faulty: bool) -> dict[str, np.ndarray]:
    """Result of the bundle's own command, on an NPU with the fault or without."""
    line = next(line for line in (folder / "README.txt").read_text().splitlines() if line.startswith("again: "))
    arguments = shlex.split(line)[shlex.split(line).index("hil") + 1 :]
    code = (FAULT if faulty else "") + "\nfrom hil.harness.cli import main\nmain()\n"
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, check=True)
    return dict(np.load(folder / "again.npz"))


def explained(folder: Path) -> str:
    """Output of the bundle's second command, on an NPU with the fault."""
    line = next(line for line in (folder / "README.txt").read_text().splitlines() if line.startswith("explain: "))
    arguments = shlex.split(line)[shlex.split(line).index("hil") + 1 :]
    code = f"{FAULT}\nfrom hil.harness.cli import main\nmain()\n"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_a_wrong_bit_is_found_named_and_kept(tmp_path: Path, fresh_store: Path) -> None:
    folder = write(
        tmp_path / "user", {"models/blobs.py": model_file(), "test_deployment.py": TEST, "conftest.py": FAULT}
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", "--target", "sim", "--technique", "ptq"]
    command += ["--results=nightly.db", "--hil-report=report.md"]
    environment = {**os.environ, "HIL_STORE": str(fresh_store)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "first operator that differs: CONV_2D, operator 1" in done.stdout
    assert "pointwise" in done.stdout
    bundle = folder / "hil-failures" / "blobs-ptq-sim-ethos-u55-128-Shared_Sram"
    assert str(bundle) in done.stdout
    results = open_results(str(folder / "nightly.db"))
    (failure,) = results.failures(results.run("latest").id)
    assert failure.operator.startswith("CONV_2D, operator 1")
    assert f"bundle: {bundle}" in failure.log
    assert "first operator that differs: CONV\\_2D, operator 1" in (folder / "report.md").read_text()
    assert json.loads((bundle / "identity.json").read_text())["vela"]["accelerator"] == "ethos-u55-128"
    target, oracle = dict(np.load(bundle / "target.npz")), dict(np.load(bundle / "oracle.npz"))
    (name,) = oracle
    assert (target[name] != oracle[name]).reshape(len(oracle[name]), -1).any(axis=1).all(), "only what differs is kept"
    np.testing.assert_array_equal(again(bundle, faulty=True)[name], target[name])
    np.testing.assert_array_equal(again(bundle, faulty=False)[name], oracle[name])
    assert "first: CONV_2D 1, output" in explained(bundle)


GIVEN = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    return np.random.default_rng(0).normal(0, 1, (20, 8, 8, 4)).astype("float32"), np.zeros(20)

model = Model("given", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""


def test_the_message_names_what_feeds_the_operator_that_differs(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    """Vela compiles a SUM over two axes wrongly, and what reads it differs first."""
    folder = write(tmp_path, {"models/given.py": GIVEN, "test_deployment.py": TEST})
    (folder / "models/int8.tflite").write_bytes(made("log_of_sum"))
    command = [sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", "--target", "sim"]
    environment = {**os.environ, "HIL_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = {line for line in done.stdout.splitlines() if "first operator that differs: LOG, operator 3" in line}
    assert "suspect first: SUM 1, which feeds it and could not be compared (another form" in line
    (readme,) = (folder / "hil-failures").rglob("README.txt")
    assert "suspect first: SUM 1" in readme.read_text()
    shutil.rmtree(folder / "hil-failures")
    (folder / "hil-failures").write_text("no folder can be made here")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, "a mismatch is no breakdown, wherever its bundle cannot be written"
    assert "first operator that differs: LOG, operator 3" in done.stdout
    assert "cannot be written: Not a directory" in done.stdout
