"""A suite spread over the boards of a lab by pytest-xdist, and boards that die on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from hil.core.lifeline import through
from hil.fvp.virtual_board.process import VirtualBoard
from hil.targets.boards import virtual

from .lab import Lab, serial_port

MODELS = 6
_MODEL = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    rng = np.random.default_rng(NUMBER)
    return rng.normal(size=(40, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 40)

model = Model("mNUMBER", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""
_TESTS = """
import os, time
from pathlib import Path

def test_is_the_same(deployment, bench, parity):
    identity = bench.outcome(deployment).run.identity
    seen = Path(os.environ["SEEN"])
    (seen / deployment.name).write_text(identity["board"])
    while not seen.with_name("killed").exists():
        time.sleep(0.02)
    assert parity.mismatches == 0

def test_has_a_latency(latency):
    assert latency.npu_ms > 0
"""


@pytest.fixture(scope="session")
def int8(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small convolution, quantized."""
    base = tmp_path_factory.getbasetemp()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    path = (base.parent / f"farm-{run}.tflite") if run else base / "farm.tflite"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_bytes(_int8())
    return path.read_bytes()


def _int8() -> bytes:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import numpy as np
    import tensorflow as tf

    tf.keras.utils.set_random_seed(2)
    image = tf.keras.Input((8, 8, 3), batch_size=1)
    x = tf.keras.layers.Flatten()(tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image))
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(image, tf.keras.layers.Dense(4)(x)))
    samples = np.random.default_rng(2).normal(size=(20, 1, 8, 8, 3)).astype(np.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


@pytest.fixture
def repository(tmp_path: Path, int8: bytes) -> Path:
    """A user's tests and models, in a repository of their own."""
    folder = tmp_path / "repository"
    (folder / "models").mkdir(parents=True)
    (folder / "seen").mkdir()
    (folder / "models/int8.tflite").write_bytes(int8)
    for number in range(MODELS):
        (folder / f"models/m{number}.py").write_text(_MODEL.replace("NUMBER", str(number)))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_board.py").write_text(_TESTS)
    return folder


@pytest.fixture(scope="module")
def boards(lab: Lab) -> Iterator[dict[str, VirtualBoard]]:
    """Two virtual boards behind TCP, at places of the lab with the same tags."""
    with virtual.start(tcp=0) as one, virtual.start(tcp=0) as two:
        found = {"desk1": one, "desk2": two}
        lab.export({name: serial_port(int(board.url.rpartition(":")[2])) for name, board in found.items()})
        lab.add({name: {"hil_board": "mps3_an547", "site": "here"} for name in found})
        yield found


def start(repository: Path, board: str, workers: int) -> subprocess.Popen[str]:
    """`pytest --target serial` in the repository."""
    words = ["-p", "no:cacheprovider", "-p", "no:pytest_embedded", "-n", str(workers), "--dist", "loadgroup"]
    ours = ["--target", "serial", "--board", board, "--samples", "2"]
    store = os.environ.get("HIL_STORE", str(repository / "store"))
    return subprocess.Popen(
        through(os.getpid(), [sys.executable, "-m", "pytest", *words, *ours]),
        cwd=repository,
        env={**os.environ, "SEEN": str(repository / "seen"), "HIL_STORE": store, "HIL_LAB_PATIENCE": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def seen(repository: Path) -> dict[str, str]:
    """Deployment -> board, of the tests that ran."""
    return {path.name: path.read_text() for path in (repository / "seen").iterdir()}


def kill_when_seen(run: subprocess.Popen[str], repository: Path, boards: dict[str, VirtualBoard], number: int) -> None:
    """Kills the first of `boards` when `number` of them have run a deployment each; the others wait for that."""
    while len(set(seen(repository).values())) < number and run.poll() is None:
        time.sleep(0.02)
    next(iter(boards.values())).close()
    (repository / "killed").touch()


def finished(run: subprocess.Popen[str], lab: Lab) -> str:
    """Output of the finished session; checks that every place is free again."""
    printed, _ = run.communicate(timeout=600)
    for place in ("desk1", "desk2"):
        lab.wait_until_free(place)
    return printed


def test_a_board_that_dies_leaves_its_tests_to_the_others(
    lab: Lab, boards: dict[str, VirtualBoard], repository: Path
) -> None:
    run = start(repository, "tag:hil_board=mps3_an547,site=here", 2)
    try:
        kill_when_seen(run, repository, boards, 2)
        printed = finished(run, lab)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0, printed
    assert f"{2 * MODELS} passed" in printed
    assert set(seen(repository).values()) == {"desk1", "desk2"}


@pytest.mark.nightly
def test_the_only_board_that_dies_is_infrastructure_and_no_regression(
    lab: Lab, boards: dict[str, VirtualBoard], repository: Path
) -> None:
    run = start(repository, "place:desk2", 0)
    try:
        kill_when_seen(run, repository, {"desk2": boards["desk2"]}, 1)
        printed = finished(run, lab)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 6, printed  # nothing but infrastructure
    assert "desk2 is out of order since" in printed
    assert "none of them is a regression" in printed
    assert 0 < len(seen(repository)) < MODELS
