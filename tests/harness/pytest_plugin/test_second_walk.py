"""A second walk, on `sim` and `fvp`: it makes nothing, starts no TensorFlow, and runs the firmware again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hil.fvp.machine.qemu import PROGRAM
from hil.harness.store.store import Store
from tests.harness.pytest_plugin.blob_suite import repository, run, table
from tests.support.blobs import model_file, write

MODEL = model_file().replace("[Path(__file__)]", '[Path(__file__).with_name("blobs.txt")]')
LIBRARIES = ("tensorflow", "tf_keras", "keras", "ai_edge_litert", "tflite_micro", "tensorflow_model_optimization")


def logging_module(log: Path) -> str:
    """The text of a module that notes its import, in whatever process, and fails."""
    return f"open({str(log)!r}, 'a').write(__name__ + '\\n')\nraise ImportError(__name__)\n"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A repository and its store, after a first walk on `sim`."""
    files = {"models/blobs.py": MODEL, "models/blobs.txt": "1"}
    folder = repository(tmp_path_factory.mktemp("repository"), files)
    store = folder / "store"
    done = run(folder, store, "--target", "sim")
    assert done.returncode == 0, done.stdout
    return folder, store


def made(store: Path) -> dict[str, str]:
    """The time of making of each artifact."""
    return {f"{found.step}/{found.key}": str(found.manifest["made"]) for found in Store(store).artifacts()}


@pytest.mark.parametrize("target", ["sim", pytest.param("fvp", marks=pytest.mark.nightly)])
def test_it_makes_nothing_and_imports_no_tensorflow(
    walked: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    folder, store = walked
    before, log = made(store), tmp_path / "imported"
    write(tmp_path, {f"site-packages/{name}.py": logging_module(log) for name in LIBRARIES})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))
    done = run(folder, store, "--target", target)
    assert done.returncode == 0, done.stdout
    assert not log.exists(), log.read_text()
    assert made(store).items() >= before.items()
    steps = {name.partition("/")[0] for name in made(store).keys() - before.keys()}
    assert not steps & {step.partition("/")[0] for step in before}


@pytest.mark.nightly
def test_each_walk_on_fvp_runs_the_firmware(
    walked: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = walked
    log, qemu = tmp_path / "started", shutil.which(PROGRAM)
    assert qemu is not None
    write(tmp_path, {f"bin/{PROGRAM}": f'#!/bin/sh\necho "$@" >> {log}\nexec {qemu} "$@"\n'})
    (tmp_path / "bin" / PROGRAM).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    starts = []
    for _ in range(2):
        log.write_text("")
        done = run(folder, store, "--target", "fvp", "--technique", "ptq")
        assert done.returncode == 0, done.stdout
        assert table(done)["ptq"].mismatches == ["0", "0"]
        starts.append(sum("-M " in line for line in log.read_text().splitlines()))
    assert starts[0] == starts[1] > 0


@pytest.mark.parametrize("change", ["epochs", pytest.param("data", marks=pytest.mark.nightly)])
def test_it_makes_what_a_change_needs_and_nothing_else(walked: tuple[Path, Path], tmp_path: Path, change: str) -> None:
    text = MODEL.replace("pqat=quick", "pqat=FineTune(epochs=2, learning_rate=1e-3)") if change == "epochs" else MODEL
    files = {"models/blobs.py": text, "models/blobs.txt": "2" if change == "data" else "1"}
    folder, store = repository(tmp_path, files), tmp_path / "store"
    shutil.copytree(walked[1], store)
    before = made(store)
    done = run(folder, store, "--target", "sim", "--technique", "pqat")
    assert done.returncode == 0, done.stdout
    anew = {name.partition("/")[0] for name in made(store).keys() - before.keys()}
    if change == "epochs":  # the weights are others, and with them perhaps the scale of the inputs
        assert anew - {"inputs"} == {"pqat", "predictions", "tflite", "vela", "host", "sim"}
    else:  # the loader gives the same samples, and so the file for the target is the same
        trained = {"base", "prune", "pqat", "predictions", "tflite"}
        assert anew == {"data", "learning_task", "inputs", *trained}
