"""The paired interval of a metric's drop: covers, has a seed, and takes seconds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.harness.metrics.accuracy import Accuracy, compare
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.resamples import value_of
from hil.harness.metrics.scores import statistic_of
from hil.harness.model import Metric
from tests.harness.metrics.test_detections import draw

OF_CLASSES = ("top2", "f1_macro", "worst_recall", "mean_iou")
OF_NUMBERS = ("r2", "mae", "mse", "rmse", "snr", "psnr")
OF_SCORES = ("auc", "eer", "f1")


def drawn(metric: str, samples: int, seed: int) -> tuple[LearningTask, Any, Any, Any]:
    """A task with labels, outputs of a base, and slightly worse outputs."""
    rng = np.random.default_rng(seed)
    if metric in OF_CLASSES:
        y, noise, loss = rng.integers(0, 4, samples), rng.normal(0, 0.7, (2, samples, 4)), "classes"
        base = np.eye(4)[y] + noise[0]
    elif metric in OF_NUMBERS:
        y, noise, loss = rng.random((samples, 4)), rng.normal(0, 0.1, (2, samples, 4)), "regression"
        base = y + noise[0]
    else:
        y, noise, loss = rng.integers(0, 2, samples), rng.normal(0, 0.7, (2, samples, 1)), "binary"
        base = y[:, None] + noise[0]
    return learning_task(metric, Labels(y, base.shape[1:]), LossKind(loss)), y, base, base + 0.5 * noise[1]


def paired(task: LearningTask, y: Any, base: Any, worse: Any) -> Accuracy:
    return compare(task, y, reference=base, keras=base, candidate=worse, on_target=np.arange(4))


@pytest.mark.parametrize("metric", [*OF_CLASSES, *OF_NUMBERS, *OF_SCORES])
def test_a_resample_is_what_its_samples_give(metric: str) -> None:
    task, y, outputs, _ = drawn(metric, 60, 0)
    labels = task.labels(y)
    weights = np.random.default_rng(1).integers(0, 3, (4, 60)).astype(float)
    values = statistic_of(task, outputs, labels)(weights)
    for row, value in zip(weights.astype(int), values, strict=True):
        picked = np.repeat(np.arange(60), row)
        expected = value_of(statistic_of(task, outputs[picked], labels[picked]))
        if metric == "r2":  # whose sum of squares is about the mean of all samples
            expected = 1 - ((outputs - y)[picked] ** 2).sum() / ((y - y.mean(axis=0))[picked] ** 2).sum()
        assert value == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["f1_macro", "rmse", "auc"])
def test_the_interval_covers_the_drop(metric: str) -> None:
    """95 % of the intervals: of 40, more than six miss it with a chance of 1 in 300."""
    whole = paired(*drawn(metric, 5_000, 1))
    found = [paired(*drawn(metric, 150, seed)) for seed in range(2, 42)]
    assert sum(not one.low <= whole.drop <= one.high for one in found) <= 6
    assert whole.high - whole.low < np.mean([one.high - one.low for one in found]) / 4


@settings(max_examples=10)
@given(st.sampled_from([*OF_NUMBERS, *OF_SCORES]), st.integers(0, 2**31))
def test_equal_arrays_give_equal_intervals(metric: str, seed: int) -> None:
    given = drawn(metric, 40, seed)
    first, second = paired(*given), paired(*given)
    assert (first.low, first.high) == (second.low, second.high)
    same = paired(*given[:3], given[2])
    assert (same.drop, same.low, same.high) == (0, 0, 0)


def test_a_function_of_the_users_own_has_the_interval_of_the_same_named_metric() -> None:
    task, y, base, worse = drawn("rmse", 50, 3)
    own = Metric(lambda outputs, labels: float(np.sqrt(((outputs - labels) ** 2).mean())), lower_is_better=True)
    of_function = learning_task(own, Labels(y, (4,)), LossKind("regression"))
    ours, theirs = paired(task, y, base, worse), paired(of_function, y, base, worse)
    assert (ours.drop, ours.low, ours.high) == pytest.approx((theirs.drop, theirs.low, theirs.high))
    assert ours.low > 0  # more error is a drop


@pytest.mark.parametrize("metric", ["f1_macro", "auc", "map"])
def test_thousands_of_samples_take_seconds(metric: str) -> None:
    if metric == "map":
        found, truths = draw(0, images=2_000)
        given = (learning_task("map", Labels(truths, (12, 6)), LossKind()), truths, found, found)
    else:
        given = drawn(metric, 10_000, 0)
    started = time.process_time()
    paired(*given)
    assert time.process_time() - started < 30  # 1 to 5 s; a metric a resample would take minutes
