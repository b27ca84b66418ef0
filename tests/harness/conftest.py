"""What tests of the harness share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .blobs import model_file, write
from .walked import Walked


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all workers of this run, so that the blobs are trained once."""
    base = tmp_path_factory.getbasetemp()
    shared = (
        base.parent if base.name.startswith("popen-") else base
    )  # pytest-xdist gives each worker a folder of its own
    return shared / "blobs-store"


@pytest.fixture(scope="session")
def blobs_int8(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The blobs as an int8 TFLite file, made by `hil optimize`."""
    folder = write(tmp_path_factory.mktemp("blobs"), {"models/blobs.py": model_file()})
    command = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--store", str(store), "-o", "int8.tflite"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder / "int8.tflite"


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Walked:
    """A walk to both leaves of the blobs."""
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import load_model_file
    from hil.harness.pipeline import Pipeline
    from hil.harness.store.store import Store
    from hil.harness.tree import pictures, walk
    from hil.harness.vela.settings import VelaSettings

    folder = write(tmp_path_factory.mktemp("walked"), {"models/blobs.py": model_file()})
    model = load_model_file(folder / "models/blobs.py")
    bench = Evaluator(Pipeline(Store(store)), "sim", VelaSettings())
    found = walk(model, bench, policy="all")
    kernel = pictures.kernel_of(bench, model, found)
    assert kernel is not None
    return Walked(model, bench, found, kernel)
