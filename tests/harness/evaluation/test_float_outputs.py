"""Parity and metrics of models whose inputs and outputs are real numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hil.core.arrays import Array
from hil.harness.evaluation import parity
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Dataset, Model
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.edge_models import CLASSES, SHAPE, with_edges


def test_parity_counts_real_numbers_that_differ_by_less_than_one() -> None:
    one, other = np.array([[0.25, 0.5]], np.float32), np.array([[0.75, 0.5]], np.float32)
    found = parity.compare([one], [other], None, [])
    assert (found.mismatches, found.largest) == (1, 0.5)
    assert found.first == parity.FirstDifference(0, (0, 0), 0.25, 0.75)


def test_a_metric_works_on_real_outputs(tmp_path: Path) -> None:
    int8 = with_edges("float32", "int8")
    (tmp_path / "edges.tflite").write_bytes(int8)
    x = np.random.default_rng(0).normal(0, 2, (40, *SHAPE[1:])).astype(np.float32)
    (expected,) = create("host").run(Deployable(int8, None), [x]).outputs

    def load(split: str) -> tuple[Array, Array]:
        labels = expected.argmax(axis=1)
        labels[:10] = (labels[:10] + 1) % CLASSES
        return x, labels

    files = [tmp_path / "edges.tflite"]
    model = Model("edges", tflite="edges.tflite", data=Dataset(load, lambda: files), path=tmp_path / "model.py")
    evaluator = Evaluator(Pipeline(Store(tmp_path / "store"), isolated=False), "sim", VelaSettings(), samples=8)
    deployment = evaluator.deploy(model, "int8")
    assert evaluator.parity(deployment).mismatches == 0
    assert evaluator.accuracy(deployment).value == 0.75
