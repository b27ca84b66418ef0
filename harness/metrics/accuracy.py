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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import HilError, NoReferenceError
from hil.harness.metrics.array_groups import count, picked
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.metrics.resamples import Statistic, paired_interval, value_of
from hil.harness.metrics.sample_sums import SampleSums
from hil.harness.metrics.scores import finite_value, statistic_of
from hil.harness.model import Scale
from hil.harness.model.metric import FRACTION, ArrayOrTuple, top_of

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """A metric of several models on the same `samples`, in the metric's `unit`: "fraction" for a share.

    `counted` is true where each sample is right or wrong and the metric is the share of right ones.

    `reference` is the float base, `keras` the float model of the candidate's own path before conversion, `value` the
    candidate, `drop` by how much it is worse than the base (negative: better), `low`..`high` its 95 % interval.
    `on_target` is the metric over the `target_samples` that ran on the target itself, NaN where they are too few.
    `by_output` has the metrics of further outputs, by name, which decide nothing.
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
    by_output: Mapping[str, Accuracy | AbsoluteAccuracy] = field(default_factory=dict, compare=False)

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
    by_output: Mapping[str, Accuracy | AbsoluteAccuracy] = field(default_factory=dict, compare=False)

    @property
    def scale(self) -> Scale:
        return Scale(self.unit, self.lower_is_better)

    reference = _of_reference("reference")
    keras = _of_reference("keras")
    drop = _of_reference("drop")
    low = _of_reference("low")
    high = _of_reference("high")


def lines_by_output(accuracy: Accuracy | AbsoluteAccuracy) -> list[str]:
    """Formats the metrics of further outputs, such as "boxes: rmse 0.21, drop +0.02 (95 % interval +0.01 to +0.03)"."""
    lines = []
    for output, found in accuracy.by_output.items():
        scale, text = found.scale, f"{output}: {found.metric} {found.scale.text(found.value)}"
        if isinstance(found, Accuracy):
            low, high = (scale.difference_number(end) for end in (found.low, found.high))
            text += f", drop {scale.difference(found.drop)} (95 % interval {low} to {high})"
        lines.append(text)
    return lines


def accuracy_from_record(record: Mapping[str, Any]) -> Accuracy | AbsoluteAccuracy:
    """The accuracy whose fields are `record`."""
    return Accuracy(**record) if "reference" in record else AbsoluteAccuracy(**record)


def accuracy_of(task: LearningTask, arrays: Mapping[str, Any]) -> Accuracy | AbsoluteAccuracy:
    """The accuracy of the arguments `arrays` of `compare`, or of `measure`."""
    return compare(task, **arrays) if "reference" in arrays else measure(task, **arrays)


def measure(
    task: LearningTask,
    labels: ArrayOrTuple,
    *,
    candidate: ArrayOrTuple,
    on_target: Array,
    x: ArrayOrTuple | None = None,
) -> AbsoluteAccuracy:
    """The task's metric of one model; arguments and errors are those of `compare`."""
    labels = task.labels(labels)
    found = statistic_of(task, candidate, labels, x)
    value = finite_value(found, task, candidate, "int8 model")
    measured = _on_target(task, candidate, labels, x, on_target)
    counted = _right(task, found) is not None
    return AbsoluteAccuracy(task.metric, value, count(labels), *measured, counted, **asdict(task.scale))


def compare(
    task: LearningTask,
    labels: ArrayOrTuple,
    *,
    reference: ArrayOrTuple,
    keras: ArrayOrTuple,
    candidate: ArrayOrTuple,
    on_target: Array,
    x: ArrayOrTuple | None = None,
) -> Accuracy:
    """The task's metric of each model, with the paired interval of the drop.

    `labels` are the data's; outputs are float (n, ...), of one output or a tuple of all; `on_target` holds the indices
    of the samples that ran on the target; `x` are the samples, for a metric that takes them.  Raises `BadInputError` if
    the metric of a model is no finite number.
    """
    labels, scale = task.labels(labels), task.scale
    models = {"float base": reference, "Keras model of the path": keras, "int8 model": candidate}
    first, middle, last = (statistic_of(task, outputs, labels, x) for outputs in models.values())
    before, between, after = (
        finite_value(found, task, outputs, name)
        for found, (name, outputs) in zip((first, middle, last), models.items(), strict=True)
    )
    right = [_right(task, found) for found in (first, last)]
    if right[0] is not None and right[1] is not None:
        low, high = _paired_wald(right[0], right[1])
    else:
        low, high = paired_interval(lambda weights: scale.drop(first(weights), last(weights)), count(labels))
    measured = _on_target(task, candidate, labels, x, on_target)
    counted = right[0] is not None
    return Accuracy(task.metric, after, before, between, low, high, count(labels), *measured, counted, **asdict(scale))


def _right(task: LearningTask, found: Statistic) -> NDArray[np.bool_] | None:
    """Returns the samples that are right (n,), if each is right or wrong and the metric is their share."""
    if not (isinstance(found, SampleSums) and (top_of(task.metric) or task.metric == "binary")):
        return None
    return found.rows[:, 0] > 0 if (found.rows[:, 1] == 1).all() else None


def _on_target(
    task: LearningTask, candidate: ArrayOrTuple, labels: ArrayOrTuple, x: ArrayOrTuple | None, samples: Array
) -> tuple[float, int]:
    """Returns the metric of the picked samples, NaN where they are too few for it, and their number."""
    of_samples = None if x is None else picked(x, samples)
    try:
        found = statistic_of(task, picked(candidate, samples), picked(labels, samples), of_samples)
        return value_of(found), len(samples)
    except HilError:
        return math.nan, len(samples)


def _paired_wald(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> tuple[float, float]:
    lost = int((reference & ~candidate).sum()) + 0.5
    won = int((~reference & candidate).sum()) + 0.5
    n = len(reference) + 2
    drop = (lost - won) / n
    half = Z95 * math.sqrt(max(lost + won - (lost - won) ** 2 / n, 0.0)) / n
    return drop - half, drop + half
