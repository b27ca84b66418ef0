"""Scores of outputs against labels, by named metrics and by functions of the user's own.

    score = score_of(task)
    score(outputs, labels)          # float outputs (n, ...), labels as `task.labels(y)` gives them

`top1` and `binary` are shares of right elements, `r2` is 1 less the residual sum of squares over the sum of squares
about each output's mean (one output or many: the units cancel), `auc` the area under the ROC curve.  Where a named
metric is not defined on some samples (one class, labels that are all the same) the score is NaN.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.model import MetricFunction

Points = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Points won and points at stake by sample; the score is the quotient of their sums."""


def top1(outputs: Array, labels: Array) -> float:
    """Share of rows whose largest output is the label's; `outputs` (n, ..., classes), `labels` (n, ...) indices."""
    return _quotient(*_top1(outputs, labels))


def auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve, ties counted half; the last output column is the score, `labels` (n,) are 0 or 1."""
    scores = np.asarray(outputs, np.float64).reshape(len(labels), -1)[:, -1]
    positive = np.asarray(labels).astype(bool)
    count = int(positive.sum())
    if not 0 < count < len(positive) or np.isnan(scores).any():
        return math.nan
    ours, others = np.sort(scores[positive]), np.sort(scores[~positive])
    below = sum(int(np.searchsorted(others, ours, side).sum()) for side in ("left", "right"))
    return below / 2 / (count * (len(positive) - count))


def points_of(task: LearningTask) -> Callable[[Array, Array], Points] | None:
    """Returns the function that gives the points of each sample, None for a metric that is no quotient of sums."""
    ways: dict[str, Callable[[Array, Array], Points]] = {
        "top1": _top1,
        "binary": partial(_binary, threshold=task.threshold),
        "r2": _r2,
    }
    return None if task.own is not None else ways.get(task.metric)


def score_of(task: LearningTask) -> MetricFunction:
    """Returns the task's metric as a function of outputs (n, ...) and labels in the task's form.

    A metric of the user's own raises `BadInputError` if it fails or gives no number; the line names the function.
    """
    if task.own is not None:
        return partial(_call, task.own.function)
    if points := points_of(task):
        return lambda outputs, labels: _quotient(*points(outputs, labels))
    return auc


def finite_score(task: LearningTask, outputs: Array, labels: Array, model: str) -> float:
    """Score of a model that an error calls `model`; raises `BadInputError` if it is no finite number."""
    value = score_of(task)(outputs, labels)
    if math.isfinite(value):
        return value
    name = task.metric if task.own is None else describe(task.own.function)
    cause = "" if np.isfinite(outputs).all() else ", whose outputs are not finite"
    raise BadInputError(f"the metric {name} is {value} for the {model}{cause}")


def describe(function: Any) -> str:
    """Name, file and line of a user's function."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(inspect.unwrap(function), "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else name


def _call(function: MetricFunction, outputs: Array, labels: Array) -> float:
    try:
        value: Any = function(outputs.copy(), labels.copy())  # which may edit its arguments
    except HilError:
        raise
    except Exception as error:
        shapes = f"outputs {outputs.dtype} {outputs.shape}, labels {labels.dtype} {labels.shape}"
        message = f"the metric {describe(function)} fails on {shapes}: {type(error).__name__}: {first_cause(error)}"
        raise BadInputError(message) from error
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "biuf":
        kind = f"{number.dtype} {number.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise BadInputError(f"the metric {describe(function)} gives no number but {kind}")
    return float(number.item())


def _top1(outputs: Array, labels: Array) -> Points:
    rows = np.asarray(outputs).reshape(*labels.shape, -1)
    return _shares(rows.argmax(axis=-1) == labels)


def _binary(outputs: Array, labels: Array, threshold: float) -> Points:
    return _shares((np.asarray(outputs).reshape(labels.shape) > threshold) == labels)


def _r2(outputs: Array, labels: Array) -> Points:
    wanted = np.asarray(labels, np.float64).reshape(len(labels), -1)
    given = np.asarray(outputs, np.float64).reshape(wanted.shape)
    total = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=1)
    return total - ((wanted - given) ** 2).sum(axis=1), total


def _shares(right: NDArray[np.bool_]) -> Points:
    by_sample = right.reshape(len(right), -1)
    return by_sample.sum(axis=1).astype(np.float64), np.full(len(right), float(by_sample.shape[1]))


def _quotient(won: NDArray[np.float64], at_stake: NDArray[np.float64]) -> float:
    whole = float(at_stake.sum())
    return float(won.sum()) / whole if whole > 0 else math.nan
