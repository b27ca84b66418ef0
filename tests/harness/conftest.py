"""Fixtures of the harness's tests: a store, and the blobs as an int8 file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blobs import model_file, write


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all workers of this run, so that the blobs are trained once."""
    base = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each worker a folder of its own.
    shared = base.parent if base.name.startswith("popen-") else base
    return shared / "blobs-store"


@pytest.fixture(scope="session")
def blobs_int8(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The blobs as an int8 TFLite file, made by `hil optimize`."""
    folder = write(tmp_path_factory.mktemp("blobs"), {"models/blobs.py": model_file()})
    command = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--store", str(store), "-o", "int8.tflite"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "int8.tflite"
