"""The metric that follows from outputs, labels and loss; what is not defined is one line that names both shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.harness.metrics.accuracy import compare
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.resamples import value_of
from hil.harness.metrics.scores import describe, statistic_of

N = 60
DRAW = np.random.default_rng(0)
CLASSES = np.arange(N) % 3
YES = np.arange(N) % 2
LABELS: dict[str, Any] = {
    "classes": CLASSES,
    "classes (n, 1)": CLASSES[:, None],
    "classes float": CLASSES.astype("float32"),
    "classes uint8": CLASSES.astype("uint8"),
    "one-hot": np.eye(3, dtype="float32")[CLASSES],
    "one-hot int": np.eye(3, dtype="int64")[CLASSES],
    "0 and 1": YES,
    "0 and 1 (n, 1)": YES[:, None].astype("float32"),
    "bool": YES > 0,
    "-1 and 1": 2.0 * YES - 1,
    "0 and 255": 255 * YES,
    "several yes": DRAW.integers(0, 2, (N, 3)),
    "numbers": DRAW.normal(size=N),
    "numbers (n, 1)": DRAW.normal(size=(N, 1)),
    "numbers (n, 3)": DRAW.normal(size=(N, 3)),
    "shares (n, 3)": DRAW.random((N, 3)),
    "pixels": np.arange(N * 4).reshape(N, 2, 2) % 3,
    "pixels one-hot": np.eye(3)[np.arange(N * 4).reshape(N, 2, 2) % 3],
    "constant": np.full(N, 7.5),
    "zeros": np.zeros(N, int),
    "negative": CLASSES - 1,
    "beyond": CLASSES + 1,
    "strings": np.array(["a", "b"])[YES],
    "NaN": np.where(np.arange(N) == 5, np.nan, CLASSES),
}
LOSSES = {
    "logits": LossKind("classes", True, "SparseCategoricalCrossentropy"),
    "probabilities": LossKind("classes", False, "SparseCategoricalCrossentropy"),
    "one-hot": LossKind("one-hot", True, "CategoricalCrossentropy"),
    "bce": LossKind("binary", False, "BinaryCrossentropy"),
    "bce logits": LossKind("binary", True, "BinaryCrossentropy"),
    "hinge": LossKind("hinge", False, "Hinge"),
    "mse": LossKind("regression", False, "MeanSquaredError"),
    "cosine": LossKind("direction", False, "CosineSimilarity"),
    "own": LossKind(),
}


def task(labels: str, outputs: tuple[int, ...], loss: str, metric: str | None = None, **more: Any) -> LearningTask:
    return learning_task(metric, Labels(LABELS[labels], outputs), LOSSES[loss], **more)


@dataclass(frozen=True)
class Case:
    labels: str
    outputs: tuple[int, ...]
    loss: str
    metric: str
    threshold: float = 0.5
    activation: str = ""


FOLLOWS = [
    *(
        Case(labels, (3,), loss, "top1")
        for labels in ("classes", "classes (n, 1)", "classes float", "classes uint8", "one-hot", "one-hot int")
        for loss in ("logits", "probabilities", "one-hot", "own", "cosine")
    ),
    Case("one-hot", (3,), "mse", "top1"),
    Case("one-hot", (3,), "bce", "top1"),
    Case("bool", (2,), "logits", "top1"),
    Case("0 and 1", (2,), "probabilities", "top1"),
    Case("classes", (1, 1, 3), "logits", "top1"),
    Case("pixels", (2, 2, 3), "logits", "top1"),
    Case("pixels one-hot", (2, 2, 3), "one-hot", "top1"),
    *(Case(labels, (1,), "bce", "binary") for labels in ("0 and 1", "0 and 1 (n, 1)", "bool")),
    Case("0 and 1", (), "bce", "binary"),
    Case("0 and 1", (1,), "bce logits", "binary", threshold=0.0),
    Case("0 and 1", (1,), "bce logits", "binary", activation="sigmoid"),  # above 0 it would always say yes
    Case("0 and 1", (1,), "hinge", "binary", threshold=0.0),
    Case("-1 and 1", (1,), "hinge", "binary", threshold=0.0),
    Case("0 and 1", (1,), "mse", "binary"),
    Case("0 and 1", (1,), "own", "binary", activation="sigmoid"),
    Case("several yes", (3,), "bce", "binary"),
    *(Case(labels, (1,), "mse", "r2") for labels in ("numbers", "numbers (n, 1)", "classes", "-1 and 1", "0 and 255")),
    Case("numbers (n, 3)", (3,), "mse", "r2"),
    Case("numbers (n, 3)", (3,), "own", "r2"),
    Case("shares (n, 3)", (3,), "bce", "r2"),
]


@pytest.mark.parametrize("case", FOLLOWS, ids=str)
def test_the_metric_follows_from_the_task(case: Case) -> None:
    found = task(case.labels, case.outputs, case.loss, activation=case.activation)
    assert (found.metric, found.threshold) == (case.metric, case.threshold)
    perfect = found.labels(LABELS[case.labels]).astype(float)
    if case.metric == "top1":
        perfect = np.eye(case.outputs[-1])[perfect.astype(int)]
    if case.threshold == 0.0:
        perfect = 2 * perfect - 1
    assert value_of(statistic_of(found, perfect, found.labels(LABELS[case.labels]))) == 1.0
    assert LearningTask.from_json(found.as_json()) == found


def test_a_regression_of_the_inputs_is_a_reconstruction() -> None:
    assert task("numbers (n, 3)", (3,), "mse", inputs=(3,)).kind == "reconstruction"
    assert task("numbers (n, 3)", (3,), "mse", inputs=(4,)).kind == "regression"


@pytest.mark.parametrize(
    ("labels", "outputs", "loss", "metric", "line"),
    [
        ("0 and 1", (1,), "bce", "top1", "one output is no class count"),
        ("numbers", (1,), "mse", "top1", "one output is no class count"),
        ("numbers (n, 3)", (3,), "mse", "top1", "the labels are no classes"),
        ("0 and 1", (1,), "logits", None, "one output is no class count"),
        ("0 and 1", (1,), "probabilities", None, "give a loss such as BinaryCrossentropy"),
        ("numbers", (3,), "logits", None, "labels that are no whole numbers are no classes"),
        ("numbers (n, 3)", (3,), "logits", None, "the labels are no classes"),
        ("negative", (3,), "logits", None, "the network knows the classes 0 to 2"),
        ("beyond", (3,), "logits", None, "the network knows the classes 0 to 2"),
        ("strings", (2,), "logits", None, "the labels are no numbers"),
        ("strings", (1,), "bce", "auc", "the labels are no numbers"),
        ("NaN", (3,), "logits", None, "1 value is not finite in the test labels, first in sample 5"),
        ("classes", (2, 2, 3), "logits", None, "the labels are no classes"),
        ("classes", (3,), "mse", None, "the labels do not have the shape of the outputs"),
        ("classes", (3,), "bce", None, "the labels do not have the shape of the outputs"),
        ("0 and 255", (1,), "bce", None, "takes labels from 0 to 1"),
        ("-1 and 1", (1,), "bce", None, "takes labels from 0 to 1"),
        ("shares (n, 3)", (3,), "bce logits", None, "r2 is not defined on logits"),
        ("numbers (n, 3)", (3,), "cosine", None, "no metric follows from the loss CosineSimilarity"),
        ("0 and 1", (1,), "own", None, "end the network in a sigmoid"),
        ("several yes", (3,), "one-hot", "binary", "a loss that says where yes begins"),
        ("constant", (1,), "mse", None, "labels that are all the same"),
        ("zeros", (1,), "mse", None, "labels that are all the same"),
        ("zeros", (1,), "bce", "auc", "auc needs samples of both classes"),
        ("0 and 1", (3,), "own", "auc", "auc needs one score a sample"),
        ("classes", (3,), "logits", "auc", "auc needs one score a sample"),
        ("classes", (3,), "logits", "r2", "the labels do not have the shape of the outputs"),
    ],
)
def test_what_is_not_defined_is_one_line_with_both_shapes(
    labels: str, outputs: tuple[int, ...], loss: str, metric: str | None, line: str
) -> None:
    y = LABELS[labels]
    with pytest.raises(BadInputError, match=re.escape(line)) as caught:
        task(labels, outputs, loss, metric)
    text = str(caught.value)
    assert f"the network gives {outputs} a sample, the test labels are {y.dtype} {y.shape[1:]}" in text
    assert "\n" not in text


def test_auc_takes_one_score_or_those_of_two_classes() -> None:
    scores = DRAW.random((N, 1)) + YES[:, None]
    two = np.concatenate([1 - scores, scores], axis=1)
    for labels in ("0 and 1", "bool", "0 and 1 (n, 1)"):
        one, of_two = task(labels, (1,), "bce", "auc"), task(labels, (2,), "logits", "auc")
        assert value_of(statistic_of(one, scores, one.labels(LABELS[labels]))) == 1.0
        assert value_of(statistic_of(of_two, two, of_two.labels(LABELS[labels]))) == 1.0


def paired(found: LearningTask, y: Any, reference: Any, candidate: Any) -> Any:
    every = np.arange(len(y))
    return compare(found, y, reference=reference, keras=reference, candidate=candidate, on_target=every)


@given(st.integers(2, 6), st.integers(2, 50), st.integers(0, 2**32 - 1))
def test_one_hot_rows_and_integers_give_the_same_values(classes: int, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, classes, count)
    outputs = draw.normal(size=(2, count, classes)).astype("float32")
    found = []
    for labels in (y, y[:, None], y.astype("float64"), np.eye(classes)[y], np.eye(classes, dtype=bool)[y]):
        of = learning_task(None, Labels(labels, (classes,)), LOSSES["own"])
        found.append(paired(of, labels, *outputs))
    assert all(one == found[0] for one in found)
    assert found[0].counted
    assert found[0].reference == np.mean(outputs[0].argmax(axis=1) == y)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1000), st.floats(-100, 100))
def test_the_drop_of_r2_has_no_unit(seed: int, scale: float, offset: float) -> None:
    draw = np.random.default_rng(seed)
    y, noise = draw.normal(size=(40, 2)), draw.normal(size=(2, 40, 2))
    first, second = (
        paired(
            learning_task("r2", Labels(a * y + b, (2,)), LOSSES["mse"]),
            *(a * y + b, *(a * (y + part / 10) + b for part in noise)),
        )
        for a, b in ((1.0, 0.0), (scale, offset))
    )
    for name in ("value", "reference", "low", "high"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-6)
    assert first.low <= first.drop <= first.high
    assert not first.counted


def test_pixels_are_counted_one_by_one_and_drawn_by_sample() -> None:
    y = LABELS["pixels"]
    found = learning_task(None, Labels(y, (2, 2, 3)), LOSSES["logits"])
    right, half = np.eye(3)[y], np.eye(3)[y]
    half[:, 0] = np.roll(half[:, 0], 1, axis=-1)
    result = paired(found, y, right, half)
    assert (result.reference, result.value, result.counted) == (1.0, 0.5, False)
    assert (result.low, result.high) == (0.5, 0.5)


def fails(outputs: Any, y: Any) -> float:
    raise KeyError("no such column")


def nothing(outputs: Any, y: Any) -> Any:
    return None


def infinite(outputs: Any, y: Any) -> float:
    return float("inf")


@pytest.mark.parametrize(
    ("function", "line"),
    [(fails, "fails on outputs float64 (60, 3)"), (nothing, "gives no number but NoneType"), (infinite, "is inf for")],
)
def test_a_metric_of_the_users_own_that_fails_is_named_with_its_place(function: Any, line: str) -> None:
    place = f"{function.__name__} (test_learning_task.py:{function.__code__.co_firstlineno})"
    found = learning_task(function, Labels(CLASSES, (3,)), LOSSES["own"])
    assert describe(function) == place
    with pytest.raises(BadInputError, match=re.escape(line)) as caught:
        paired(found, CLASSES, np.zeros((N, 3)), np.zeros((N, 3)))
    assert place in str(caught.value)


def test_outputs_that_are_not_finite_are_named() -> None:
    outputs = np.full((N, 1), np.nan)
    with pytest.raises(BadInputError, match="r2 is nan for the float base, whose outputs are not finite"):
        paired(task("numbers", (1,), "mse"), LABELS["numbers"], outputs, outputs)
