"""`pytest --target serial` and `hil run` on a board with this firmware, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.harness.results import RunRecord, open_results
from hil.harness.results.results import Results
from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import dequantize, read_signature
from hil.targets.host.target import HostTarget

from .device import on_pty, on_tcp, write_book

PYTEST = ("-p", "no:cacheprovider", "-p", "no:pytest_embedded", "--target", "serial", "--repetitions", "2")
HIL_RUN = (
    *("hil.harness.cli", "run", "models/int8.tflite", "--inputs", "x.npz", "--json"),
    *("--target", "serial", "--repetitions", "2"),
)
Built = Callable[[str], Path]
_MODEL = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    found = np.load(Path(__file__).with_name("samples.npz"))
    return found["x"], found["y"]

model = Model("kws", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""
_TESTS = """
import pytest

def test_parity(parity):
    assert parity.mismatches == 0

def test_accuracy(accuracy):
    assert (accuracy.value, accuracy.samples) == (0.75, 4)

def test_latency(latency):
    assert 1.0 <= latency.ms < 10
    assert latency.trust == "measured"
"""


@pytest.fixture
def repository(tmp_path: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run) -> Path:
    """A user's model file and tests; one of four labels is not the model's answer."""
    signature = read_signature(classifier)
    labels = expected.outputs[0].argmax(axis=1)
    labels[0] = (labels[0] + 1) % 12
    (tmp_path / "models").mkdir()
    np.savez(tmp_path / "models/samples.npz", x=dequantize(signature.inputs[0], inputs), y=labels)
    np.savez(tmp_path / "x.npz", x=inputs)
    (tmp_path / "models/int8.tflite").write_bytes(classifier)
    (tmp_path / "models/kws.py").write_text(_MODEL)
    (tmp_path / "test_board.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def describe(repository: Path, port: str) -> str:
    """A board's file."""
    text = f'protocol = "mlperf"\naccelerator = "ethos-u55-128"\nreports = "kws01"\n[port]\npath = "{port}"\n'
    (repository / "kws_board.toml").write_text(text)
    return "kws_board.toml"


def ran(repository: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Result of a user's command."""
    environment = {**os.environ, "HIL_STORE": str(repository / "store")}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


def test_the_suite_runs_on_the_board_as_on_any_target(built: Built, repository: Path, carried: Path) -> None:
    with on_pty(built("own"), carried) as device:
        board = describe(repository, device.port)
        done = ran(repository, ["pytest", *PYTEST, "--board", board])
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_board_that_carries_another_model_has_accuracy_but_no_parity(
    built: Built, repository: Path, classifier: bytes, inputs: np.ndarray[Any, Any]
) -> None:
    best = HostTarget().run(Deployable(classifier, None), [inputs]).outputs[0].argmax(axis=1)
    printed = [["0.451" if place == label else "0.049" for place in range(12)] for label in best]
    samples = [sample.tobytes() for sample in inputs]
    book = write_book(repository / "book", dict(zip(samples, printed, strict=True)))
    with on_pty(built("own"), book) as device:
        board = describe(repository, device.port)
        done = ran(repository, ["pytest", *PYTEST, "--board", board])
        shown = ran(repository, [*HIL_RUN, "--board", board])
    assert done.returncode == 1, done.stdout
    assert "2 passed" in done.stdout
    assert "UnknownParityError: kws-int8: parity with the int8 model is unknown" in done.stdout
    assert shown.returncode == 0, shown.stderr
    record = json.loads(shown.stdout)
    assert record["outputs"][0]["dtype"] == "float64"
    assert record["identity"]["parity"].startswith("unknown: ")


def drawn_night(results: Results, night: int) -> None:
    """A night of the same build as the baseline's, whose times are drawn: 1.1 ms with a noise of a hundredth."""
    (deployed,) = results.figures(results.run("main").id)
    times = tuple(float(time) for time in np.random.default_rng(night).normal(1.1, 0.011, 2))
    run = results.begin(RunRecord("drawn"))
    latency = replace(deployed.figures["latency"], value=sorted(times)[0], repetitions=times)
    run.measurements(run.deployment(deployed.record), [latency])
    run.finish(0)


@pytest.mark.nightly
def test_a_slower_board_is_measured_again_before_it_is_called_a_regression(
    built: Built, repository: Path, carried: Path
) -> None:
    words = ["pytest", *PYTEST, "--results=nightly.db", "--baseline", "main"]
    with on_tcp(built("own"), carried) as device:
        board = describe(repository, device.port)
        done = ran(repository, [*words, "--board", board, "--update-baseline"])
        assert done.returncode == 0, done.stdout + done.stderr
    results = open_results(str(repository / "nightly.db"))
    for night in range(12):
        drawn_night(results, night)
    calibrated = ran(repository, ["hil.harness.cli", "results", "calibrate", "main", "--results", "nightly.db"])
    assert re.search(r"kws-int8 +latency +13 +\d\.\d\d % and 0\.\d+ ms", calibrated.stdout), calibrated.stdout
    with on_tcp(built("own"), carried, BOARD_INFER_US=4000) as device:
        board = describe(repository, device.port)
        done = ran(repository, [*words, "--board", board, "--vary", "board"])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "confirmed: 2 further sessions were worse" in " ".join(done.stdout.split())
    (deployed,) = results.figures(results.run("latest").id)
    assert {"latency", "latency#2", "latency#3"} <= deployed.figures.keys()
    assert "latency#4" not in deployed.figures
