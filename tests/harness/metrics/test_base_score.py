"""A float base that is no better than a constant answer learned nothing, and is named."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.harness.metrics.base_score import base_score
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import learning_task
from hil.harness.metrics.loss_kind import LossKind

CLASSES = np.array([0, 1, 1, 2])
ALWAYS_ONE = np.eye(3)[[1, 1, 1, 1]]
LINES = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 11.0]])


@pytest.mark.parametrize(
    ("metric", "loss", "labels", "outputs", "constant", "line"),
    [
        ("top1", "classes", CLASSES, ALWAYS_ONE, 0.5, "top1 50.0 %, no better than always naming the most frequent"),
        ("top1", "classes", CLASSES, np.eye(3)[[0, 1, 1, 1]], 0.5, ""),
        ("top1", "classes", np.array([1, 1, 1, 1]), np.eye(3)[[1, 1, 1, 0]], 1.0, "top1 75.0 %, no better than always"),
        ("binary", "binary", np.array([[0, 1], [0, 1], [1, 1]]), np.array([[0, 1]] * 3), 5 / 6, "binary 83.3 %, no"),
        ("auc", "binary", np.array([0, 1, 1]), np.full((3, 1), 0.2), 0.5, "auc 50.0 %, no better than a score"),
        ("r2", "regression", LINES, np.array([[2.0, 5.0]] * 3), 0.0, "r2 0, no better than the mean of the labels (0)"),
        ("r2", "regression", LINES, LINES - 20, 0.0, "r2 -"),
        ("r2", "regression", LINES, LINES + 0.1, 0.0, ""),
    ],
)
def test_no_better_than_a_constant_answer(
    metric: str, loss: str, labels: Array, outputs: Array, constant: float, line: str
) -> None:
    task = learning_task(metric, Labels(labels, outputs.shape[1:]), LossKind(loss))
    found = base_score(task, labels, outputs)
    assert found is not None
    assert found.constant == pytest.approx(constant)
    assert found.learned_nothing == bool(line)
    assert found.remark.startswith(f"float base: {line}" if line else "")
    assert bool(found.remark) == bool(line)


def test_a_test_set_of_one_class_shows_nothing() -> None:
    labels = np.array([1, 1, 1, 1])
    found = base_score(learning_task("top1", Labels(labels, (3,)), LossKind("classes")), labels, ALWAYS_ONE)
    assert found is not None
    assert not found.learned_nothing
    assert found.remark == (
        "float base: top1 100.0 %, no better than always naming the most frequent class (100.0 %): this test set shows "
        "nothing"
    )


def test_nothing_is_said_of_a_metric_of_the_users_own() -> None:
    task = learning_task(lambda outputs, labels: 0.0, Labels(CLASSES, (3,)), LossKind("classes"))
    assert base_score(task, CLASSES, ALWAYS_ONE) is None
