"""Two runs of pytest, each with two workers, write into one PostgreSQL database at once; one of them is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hil.harness.results import open_results
from hil.harness.results.records import StoredRun
from hil.harness.results.results import Results
from tests.support.blobs import write
from tests.support.postgresql import Server

pytestmark = pytest.mark.xdist_group("postgresql")

MODELS = 6
FEWEST = 3
"""Tests that have passed when the run is killed."""
FIGURES = ("encoded_weights", "flash", "sram", "tflite")
MODEL = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    return np.zeros((8, 8, 8, 1), "float32"), np.arange(8) % 3

model = Model("{name}", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""
TESTS = """
import time
import pytest

@pytest.mark.parametrize("number", range(3))
def test_fits(deployment, memory, number):
    assert memory.sram_bytes
    time.sleep({pause})
"""


def _start(folder: Path, store: Path, url: str, int8: bytes, pause: float) -> subprocess.Popen[str]:
    models = {f"models/m{number}.py": MODEL.format(name=f"m{number}") for number in range(MODELS)}
    write(folder, {**models, "test_it.py": TESTS.format(pause=pause)})
    (folder / "models" / "int8.tflite").write_bytes(int8)
    command = [sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", "-p", "no:cacheprovider", "-v", "-n", "2"]
    command += ["--target", "sim", f"--rootdir={folder}"]
    environment = {**os.environ, "HIL_STORE": str(store), "HIL_RESULTS": url, "PYTHONUNBUFFERED": "1"}
    environment.pop("CI", None)
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _runs(results: Results) -> dict[str, StoredRun]:
    """Name of a repository's folder -> its run."""
    return {Path(one.record.command[-1]).name: one for one in results.runs()}


def test_nothing_is_lost_or_doubled_and_the_killed_run_is_unfinished(
    postgresql: Server, store: Path, tmp_path: Path, blobs_int8: Path
) -> None:
    url, int8 = postgresql.new_schema(), blobs_int8.read_bytes()
    results = open_results(url)
    pauses = {"whole": 0.05, "killed": 0.5}
    children = {name: _start(tmp_path / name, store, url, int8, pause) for name, pause in pauses.items()}
    while children["killed"].poll() is None:
        if (run := _runs(results).get("killed")) and sum(run.tests.values()) >= FEWEST:
            children["killed"].send_signal(signal.SIGKILL)
        time.sleep(0.1)
    said = {name: child.communicate(timeout=300)[0] for name, child in children.items()}
    runs = _runs(results)
    assert {name: (one.state, one.exit_code) for name, one in runs.items()} == {
        "whole": ("finished", 0),
        "killed": ("unfinished", None),
    }, said
    assert len(results.runs()) == 2
    for name, run in runs.items():
        reported = Counter(re.findall(r"PASSED (\S+)", said[name]))
        stored = [test.nodeid for test in results.tests(run.id)]
        assert set(reported.values()) == {1}
        assert set(stored) >= set(reported)
        assert len(stored) <= len(reported) + (name == "killed"), "killed between the commit and its report"
        deployments = {f"{found[1]}-int8" for nodeid in stored if (found := re.search(r"\[(m\d)", nodeid))}
        assert {one.record.name for one in results.figures(run.id)} == deployments
        assert {tuple(one.figures) for one in results.figures(run.id)} == {FIGURES}
    assert runs["whole"].tests == {"passed": 3 * MODELS}
    assert FEWEST <= runs["killed"].tests["passed"] < 3 * MODELS
