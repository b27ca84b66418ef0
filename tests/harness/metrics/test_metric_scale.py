"""A metric is shown in its own unit and direction, and points given for a fraction are an error."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.core.measurement import Trust
from hil.harness.evaluation.limit_check import LimitCheck, format_check, format_limits
from hil.harness.evaluation.limits import limits_of
from hil.harness.metrics.accuracy import Accuracy, compare
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.model import METRICS, Array, Budget, Dataset, Metric, MetricFunction, Model, NamedMetric, Scale
from hil.harness.model.metric import SCALES, ModelMetric

DATA = Dataset(lambda split: (np.zeros((1, 1)), np.zeros(1)), lambda: [])


def mean_error(outputs: Array, labels: Array) -> float:
    return float(np.abs(outputs - labels).mean())


def test_a_share_is_in_percent_and_nothing_else_is() -> None:
    assert [Scale().text(0.9157), Scale().difference(0.0025)] == ["91.6 %", "+0.25 points"]
    assert [Scale("").text(-0.19), Scale("").difference(0.0025)] == ["-0.19", "+0.0025"]
    assert [Scale("dB").text(34.25), Scale("dB").difference(-1.5)] == ["34.25 dB", "-1.5 dB"]


def accuracy(metric: Metric | MetricFunction) -> Accuracy:
    """The accuracy of outputs that are off by 1, in place of 0.5."""
    rows = np.arange(64, dtype=np.float32).reshape(-1, 1)
    task = learning_task(metric, Labels(rows, (1,)), LossKind("regression"))
    return compare(task, rows, reference=rows + 0.5, keras=rows, candidate=rows + 1, on_target=np.arange(4))


def test_where_less_is_better_more_is_a_drop() -> None:
    found = accuracy(Metric(mean_error, unit="K", lower_is_better=True))
    assert (found.value, found.drop, found.low, found.high) == pytest.approx((1.0, 0.5, 0.5, 0.5))
    assert found.scale == Scale("K", lower_is_better=True)
    plain = accuracy(mean_error)
    assert (plain.drop, plain.scale) == (pytest.approx(-0.5), Scale(""))


def test_limits_of_a_metric_are_in_its_unit() -> None:
    scale = Scale("K", lower_is_better=True)
    limits = format_limits(Budget(max_accuracy_drop=0.5, min_accuracy=2), scale)
    assert limits == "drop at most 0.5 K, accuracy at most 2 K"
    check = LimitCheck("min_accuracy", 2.5, 2.0, "K", Trust.EXACT, lower_is_better=True)
    assert format_check(check) == "accuracy 2.5 K, limit 2, 0.5 too much"
    assert LimitCheck("min_accuracy", 1.5, 2.0, "K", Trust.EXACT, lower_is_better=True).met
    drop = LimitCheck("max_accuracy_drop", 0.0125, 0.01, "fraction", Trust.EXACT)
    assert format_check(drop) == "drop +1.25 points, limit 1.00, 0.25 too much"


@pytest.mark.parametrize(
    ("metric", "lines"),
    [
        ("eer", ["drop at most 1.00 points, accuracy at most 0.0500", "drop +2.00 points, limit 1.00, 1.00 too much"]),
        ("snr", ["drop at most 1 dB, accuracy at least 0.05 dB", "drop +0.02 dB"]),
        ("rmse", ["drop at most 1, accuracy at most 0.05", "drop +0.02"]),
    ],
)
def test_limits_of_named_metrics_have_their_unit_and_direction(metric: str, lines: list[str]) -> None:
    scale = SCALES[metric]
    most = 0.01 if scale.is_share else 1.0
    check = LimitCheck("max_accuracy_drop", 0.02, most, scale.unit, Trust.EXACT, lower_is_better=scale.lower_is_better)
    assert [format_limits(Budget(max_accuracy_drop=most, min_accuracy=0.05), scale), format_check(check)] == lines
    assert scale.worse_by(0.5, scale.drop(0.5, 0.75)) == 0.75


def model(metric: ModelMetric | None, most: float = 0.5, loss: str = "logits") -> Model:
    return Model("m", DATA, build="m.keras", budget=Budget(max_accuracy_drop=most), metric=metric, loss=loss)


SHARES = [name for name in METRICS if SCALES[name].is_share]


@pytest.mark.parametrize("metric", [*SHARES, None, NamedMetric("top7"), Metric(mean_error, unit="fraction")])
def test_points_are_no_fraction(metric: ModelMetric | None) -> None:
    with pytest.raises(BadInputError, match=r"max_accuracy_drop 5 is 500 points: .* \(5 points are 0.05\)"):
        model(metric, 5)
    with pytest.raises(BadInputError, match="500 points"):
        limits_of(model(metric), "sim", {"max_accuracy_drop": 5})


@pytest.mark.parametrize(
    "metric", [*(name for name in METRICS if name not in SHARES), mean_error, Metric(mean_error, unit="dB")]
)
def test_a_metric_that_is_no_share_may_drop_by_more_than_one(metric: ModelMetric) -> None:
    assert limits_of(model(metric, 5), "sim", {}).limits.max_accuracy_drop == 5
