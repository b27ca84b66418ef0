"""Scores of outputs against labels, by named metrics and by functions of the user's own.

    statistic = statistic_of(task, outputs, labels, x)      # labels as `task.labels(y)` gives them
    value_of(statistic)                                     # 0.91
    statistic(weights)                                      # of r resamples, (r,)

Where a named metric is not defined on some samples (one class, labels that are all the same) the score is NaN.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array, Floats
from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.metrics import sample_sums
from hil.harness.metrics.array_groups import count, described, mapped, picked
from hil.harness.metrics.detections import THRESHOLDS, MeanPrecision, merge_detections
from hil.harness.metrics.labels import Shape
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.metrics.rank_statistic import RankStatistic
from hil.harness.metrics.resamples import Statistic, value_of
from hil.harness.metrics.sample_sums import SampleSums
from hil.harness.model.metric import ArrayOrTuple, Decode, ModelMetric, named_metric, own_metric, top_of


def statistic_of(
    task: LearningTask, outputs: ArrayOrTuple, labels: ArrayOrTuple, x: ArrayOrTuple | None = None
) -> Statistic:
    """Returns the task's metric of outputs (n, ...), labels in the task's form, and samples x if it takes them.

    A function of the user's own raises `BadInputError` if it fails or gives no number; the line names the function.
    """
    if task.own is not None:
        given = (outputs, labels) if x is None else (outputs, labels, x)
        return OwnStatistic(task.own.function, given)
    return _named_statistic(task, decoded(task.decode, outputs), np.asarray(labels), x)


def _named_statistic(task: LearningTask, outputs: Array, labels: Array, x: ArrayOrTuple | None) -> Statistic:
    if task.kind == "detection":
        thresholds = THRESHOLDS[:1] if task.metric == "map50" else THRESHOLDS
        return MeanPrecision(merge_detections(outputs), labels, thresholds)
    if task.metric in ("auc", "eer"):  # of two outputs the last is the score
        return RankStatistic(task.metric, outputs.reshape(len(labels), -1)[:, -1], labels)
    if task.metric == "reconstruction_auc":
        return RankStatistic("auc", sample_sums.squared_errors(outputs, np.asarray(x)), labels)
    if task.metric == "reconstruction_error":
        return sample_sums.of_numbers("mse", outputs, np.asarray(x))
    if task.kind in ("regression", "reconstruction"):
        return sample_sums.of_numbers(task.metric, outputs, labels, task.peak)
    return _answers_statistic(task, outputs, labels)


def _answers_statistic(task: LearningTask, outputs: Array, labels: Array) -> SampleSums:
    """Returns a metric of right and wrong answers: classes, or yes and no."""
    k, threshold = top_of(task.metric), None if task.kind == "classes" else task.threshold
    if k > 1:
        return sample_sums.top_k(outputs, labels, k)
    if k == 1 or task.metric == "binary":
        return sample_sums.answers_right(outputs, labels, threshold)
    classes = task.outputs[-1] if threshold is None else 2
    return sample_sums.by_class(task.metric, outputs, labels, classes, threshold)


def finite_score(
    task: LearningTask, outputs: ArrayOrTuple, labels: ArrayOrTuple, x: ArrayOrTuple | None, model: str
) -> float:
    """Score of a model that an error calls `model`; raises `BadInputError` if it is no finite number."""
    return finite_value(statistic_of(task, outputs, labels, x), task, outputs, model)


def finite_value(statistic: Statistic, task: LearningTask, outputs: ArrayOrTuple, model: str) -> float:
    """Value of the statistic of a model's outputs; arguments and errors are those of `finite_score`."""
    value = value_of(statistic)
    if math.isfinite(value):
        return value
    name = task.metric if task.own is None else describe(task.own.function)
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    cause = "" if all(np.isfinite(part).all() for part in parts) else ", whose outputs are not finite"
    raise BadInputError(f"the metric {name} is {value} for the {model}{cause}")


@dataclass(frozen=True, eq=False)
class OwnStatistic:
    """A function of the user's own, of arrays `given` (n, ...); undefined on a resample on which it fails."""

    function: Any
    given: tuple[ArrayOrTuple, ...]

    def __call__(self, weights: Floats | None = None) -> Floats:
        if weights is None:
            return np.array([self._call(*(mapped(np.copy, part) for part in self.given))])  # which it may edit
        return np.array([self._of_resample(row) for row in weights])

    def _of_resample(self, weights: Floats) -> float:
        samples = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
        try:
            return self._call(*(picked(part, samples) for part in self.given))
        except HilError:
            return math.nan

    def _call(self, *given: ArrayOrTuple) -> float:
        value = _called(self.function, "metric", *given)
        number = np.asarray(value)
        if number.size != 1 or number.dtype.kind not in "biuf":
            kind = f"{number.dtype} {number.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise BadInputError(f"the metric {describe(self.function)} gives no number but {kind}")
        return float(number.item())


def decoded(decode: Decode | None, outputs: ArrayOrTuple) -> Array:
    """Applies a user's function to outputs (n, ...); gives an array, or boxes, scores and classes as one (n, d, 6)."""
    if decode is None:
        return merge_detections(outputs) if isinstance(outputs, tuple) else outputs
    found = _called(decode, "decode function", mapped(np.copy, outputs))
    parts = tuple(np.asarray(part) for part in found) if isinstance(found, tuple | list) else np.asarray(found)
    merged = merge_detections(parts) if isinstance(parts, tuple) else parts
    if merged.ndim == 0 or len(merged) != count(outputs) or merged.dtype.kind not in "biuf":
        kind = f"{merged.dtype} {merged.shape}"
        raise BadInputError(f"the decode function {describe(decode)} gives no row for each sample but {kind}")
    return merged


def decoded_shape(metric: ModelMetric | None, outputs: ArrayOrTuple) -> Shape:
    """Shape of one sample of what a metric takes of outputs (n, ...); of a function of all, of the first.

    Raises `BadInputError` as `decoded`.
    """
    if own_metric(metric) is not None:
        return tuple((outputs[0] if isinstance(outputs, tuple) else outputs).shape[1:])
    named = named_metric(metric)
    return tuple(decoded(named.decode if named else None, outputs).shape[1:])


def _called(function: Any, role: str, *given: ArrayOrTuple) -> Any:
    try:
        return function(*given)
    except HilError:
        raise
    except Exception as error:
        names = zip(("outputs", "labels", "samples"), given, strict=False)
        shapes = ", ".join(f"{name} {described(part)}" for name, part in names)
        message = f"the {role} {describe(function)} fails on {shapes}: {type(error).__name__}: {first_cause(error)}"
        raise BadInputError(message) from error


def describe(function: Any) -> str:
    """Name, file and line of a user's function."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(inspect.unwrap(function), "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else name
