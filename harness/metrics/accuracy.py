"""Accuracy: the model's own metric, and its drop in an optimized model.

    result = compare(task, labels, reference=base, keras=pruned, candidate=outputs, on_target=picked)
    result.drop, result.low, result.high          # 0.004, 0.001, 0.007: of a share fractions, not percent
    measure(task, labels, candidate=outputs, on_target=picked).value    # 0.912: of a model without a reference

Both models see the same samples, so the interval is a *paired* one: only the samples on which exactly one of the two is
right say anything about the drop.  For samples that are right or wrong it is the adjusted Wald interval of Agresti and
Min (Statistics in Medicine 24, 2005: half a count added to each of the four cells), which keeps its coverage when few
samples disagree; for any other metric a bootstrap over samples with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import HilError, NoReferenceError
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.metrics.scores import Points, finite_score, points_of, score_of
from hil.harness.model import MetricFunction, Scale
from hil.harness.model.metric import FRACTION

Z95 = 1.959963984540054
RESAMPLES = 1000


@dataclass(frozen=True)
class Accuracy:
    """A metric of several models on the same `samples`, in the metric's `unit`: "fraction" for a share.

    `counted` is true where each sample is right or wrong and the metric is the share of right ones.

    `reference` is the float base, `keras` the float model of the candidate's own path before conversion, `value` the
    candidate, `drop` by how much it is worse than the base (negative: better), `low`..`high` its 95 % interval.
    `on_target` is the metric over the `target_samples` that ran on the target itself, NaN where they are too few.
    """

    metric: str
    value: float
    reference: float
    keras: float
    low: float
    high: float
    samples: int
    on_target: float
    target_samples: int
    counted: bool = False
    unit: str = FRACTION
    lower_is_better: bool = False

    @property
    def drop(self) -> float:
        return self.scale.drop(self.reference, self.value)

    @property
    def scale(self) -> Scale:
        return Scale(self.unit, self.lower_is_better)


def _of_reference(name: str) -> Any:
    """A property that raises: the figure compares with a Keras model, and there is none."""

    def refuse(self: object) -> float:
        message = f"accuracy.{name} compares with a Keras model, and this model came as an int8 file"
        raise NoReferenceError(message, hint="accuracy.value, or the limit min_accuracy")

    return property(refuse)


@dataclass(frozen=True)
class AbsoluteAccuracy:
    """A metric of a model that came as an int8 file, on `samples`; the fields are those of `Accuracy`.

    What compares with a Keras model raises `NoReferenceError`.
    """

    metric: str
    value: float
    samples: int
    on_target: float
    target_samples: int
    counted: bool = False
    unit: str = FRACTION
    lower_is_better: bool = False

    @property
    def scale(self) -> Scale:
        return Scale(self.unit, self.lower_is_better)

    reference = _of_reference("reference")
    keras = _of_reference("keras")
    drop = _of_reference("drop")
    low = _of_reference("low")
    high = _of_reference("high")


def accuracy_from_record(record: Mapping[str, Any]) -> Accuracy | AbsoluteAccuracy:
    """The accuracy whose fields are `record`."""
    return Accuracy(**record) if "reference" in record else AbsoluteAccuracy(**record)


def accuracy_of(task: LearningTask, arrays: Mapping[str, Array]) -> Accuracy | AbsoluteAccuracy:
    """The accuracy of the arguments `arrays` of `compare`, or of `measure`."""
    return compare(task, **arrays) if "reference" in arrays else measure(task, **arrays)


def measure(task: LearningTask, labels: Array, *, candidate: Array, on_target: Array) -> AbsoluteAccuracy:
    """The task's metric of one model; arguments and errors are those of `compare`."""
    score, points, labels = score_of(task), points_of(task), task.labels(labels)
    value = finite_score(task, candidate, labels, "int8 model")
    counted = points is not None and _is_counted(task, points(candidate, labels))
    measured = _on_target(score, candidate, labels, on_target)
    return AbsoluteAccuracy(task.metric, value, len(labels), *measured, counted, **asdict(task.scale))


def compare(
    task: LearningTask, labels: Array, *, reference: Array, keras: Array, candidate: Array, on_target: Array
) -> Accuracy:
    """The task's metric of each model, with the paired interval of the drop.

    `labels` are the data's; outputs are float (n, ...); `on_target` holds the indices of the samples that ran on the
    target.  Raises `BadInputError` if the metric of a model is no finite number.
    """
    score, points, labels = score_of(task), points_of(task), task.labels(labels)
    models = {"float base": reference, "Keras model of the path": keras, "int8 model": candidate}
    before, between, after = (finite_score(task, outputs, labels, name) for name, outputs in models.items())
    counted = False
    if points is None:
        low, high = _paired_bootstrap(score, task.scale, labels, reference, candidate)
    else:
        first, second = points(reference, labels), points(candidate, labels)
        counted = _is_counted(task, first)
        low, high = _paired_wald(first[0] > 0, second[0] > 0) if counted else _bootstrap_of_points(first, second)
    measured = _on_target(score, candidate, labels, on_target)
    return Accuracy(
        task.metric, after, before, between, low, high, len(labels), *measured, counted, **asdict(task.scale)
    )


def _is_counted(task: LearningTask, points: Points) -> bool:
    return task.metric != "r2" and bool((points[1] == 1).all())


def _on_target(score: MetricFunction, candidate: Array, labels: Array, picked: Array) -> tuple[float, int]:
    """Returns the metric of the picked samples, NaN where they are too few for it, and their number."""
    try:
        return score(candidate[picked], labels[picked]), len(picked)
    except HilError:
        return math.nan, len(picked)


def _paired_wald(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> tuple[float, float]:
    lost = int((reference & ~candidate).sum()) + 0.5
    won = int((~reference & candidate).sum()) + 0.5
    n = len(reference) + 2
    drop = (lost - won) / n
    half = Z95 * math.sqrt(max(lost + won - (lost - won) ** 2 / n, 0.0)) / n
    return drop - half, drop + half


def _bootstrap_of_points(reference: Points, candidate: Points) -> tuple[float, float]:
    """Interval of a metric that is a quotient of sums; the points at stake are those of the labels alone."""
    rng, lost, at_stake = np.random.default_rng(0), reference[0] - candidate[0], reference[1]
    drops = []
    for _ in range(RESAMPLES):
        pick = rng.integers(0, len(lost), len(lost))
        whole = float(at_stake[pick].sum())
        drops.append(float(lost[pick].sum()) / whole if whole > 0 else math.nan)
    return _interval(drops)


def _paired_bootstrap(
    score: MetricFunction, scale: Scale, labels: Array, reference: Array, candidate: Array
) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drops = []
    for _ in range(RESAMPLES):
        pick = rng.integers(0, len(labels), len(labels))
        try:
            drops.append(scale.drop(score(reference[pick], labels[pick]), score(candidate[pick], labels[pick])))
        except HilError:  # a resample on which the metric is not defined
            continue
    return _interval(drops)


def _interval(drops: Sequence[float]) -> tuple[float, float]:
    """95 % of the finite drops; NaN if there is none."""
    finite = [drop for drop in drops if math.isfinite(drop)]
    if not finite:
        return math.nan, math.nan
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)
