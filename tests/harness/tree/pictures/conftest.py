"""Fixture of the pictures' tests: a walk of the blobs' tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.blobs import model_file, write

from .blob_walk import Walked


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
