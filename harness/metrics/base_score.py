"""Score of the float base, beside that of the best constant answer to the test labels.

    found = base_score(task, labels, outputs)
    found.value, found.constant, found.learned_nothing      # 0.467, 0.533, True
    found.remark      # "float base: 46.7 % top1, no better than always naming the most frequent class (53.3 %): ..."

A network that learned nothing gives optimized models that lose nothing, and so meets every limit on the drop.  Of a
metric of the user's own no best constant answer is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.metrics.resamples import value_of
from hil.harness.metrics.sample_sums import of_numbers
from hil.harness.metrics.scores import finite_score
from hil.harness.model.metric import ArrayOrTuple, scale_of, top_of

_CLASS, _SCORE, _MEAN = "always naming the most frequent class", "a score that is always the same", "the mean of the"
_ANSWERS = {
    "top1": _CLASS,
    "binary": "always giving the more frequent answer",
    "f1": "always saying yes",
    **dict.fromkeys(("f1_macro", "worst_recall", "mean_iou"), _CLASS),
    **dict.fromkeys(("auc", "eer", "reconstruction_auc"), _SCORE),
    **dict.fromkeys(("map", "map50"), "no box"),
    **dict.fromkeys(("r2", "mse", "rmse", "snr", "psnr"), f"{_MEAN} labels"),
    "mae": "the median of the labels",
    "reconstruction_error": f"{_MEAN} samples",
}
"""Metric -> the best constant answer in words; of top-k it is the k most frequent classes."""


@dataclass(frozen=True)
class BaseScore:
    """Value of a named `metric` of the float base, and of the best `constant` answer, in the metric's unit."""

    metric: str
    value: float
    constant: float

    @property
    def learned_nothing(self) -> bool:
        """True for a base no better than a constant answer, unless both are right on every sample."""
        return scale_of(self.metric).drop(self.constant, self.value) >= 0 and not self._shows_nothing

    @property
    def remark(self) -> str:
        """Line on a base that learned nothing, or on a test set that cannot show it; empty for any other."""
        if not (self.learned_nothing or self._shows_nothing):
            return ""
        scale = scale_of(self.metric)
        words = _ANSWERS.get(self.metric, f"always naming the {top_of(self.metric)} most frequent classes")
        answer = f"{words} ({scale.text(self.constant)})"
        why = "this test set shows nothing" if self._shows_nothing else "nothing was learned"
        return f"float base: {self.metric} {scale.text(self.value)}, no better than {answer}: {why}"

    @property
    def _shows_nothing(self) -> bool:
        """True where base and constant answer are right on every sample: a test set with one class, say."""
        scale = scale_of(self.metric)
        perfect = 0.0 if scale.lower_is_better else 1.0 if scale.is_share else np.inf
        return self.constant == self.value == perfect

    def record(self) -> dict[str, Any]:
        """Returns the score as JSON."""
        return {**asdict(self), "learned_nothing": self.learned_nothing}


def base_score(
    task: LearningTask, labels: ArrayOrTuple, outputs: ArrayOrTuple, x: ArrayOrTuple | None = None
) -> BaseScore | None:
    """Scores float outputs (n, ...) of the base against the data's labels (n, ...); None for a metric of the user's.

    `x` are the samples, for a metric that takes them.  Raises `BadInputError` if the metric is no finite number.
    """
    if task.own is not None:
        return None
    wanted = task.labels(labels)
    value = finite_score(task, outputs, wanted, x, "float base")
    return BaseScore(task.metric, value, _constant(task, np.asarray(wanted if x is None else x)))


def _constant(task: LearningTask, wanted: Array) -> float:
    """Returns the metric of the best constant answer to labels in the metric's own form, or to the samples."""
    if k := top_of(task.metric):
        return float(np.sort(np.bincount(wanted.ravel()))[-k:].sum() / wanted.size)
    if task.metric in _BY_LABELS:
        return _BY_LABELS[task.metric](wanted)
    if task.kind not in ("regression", "reconstruction"):
        return 0.5 if task.metric in ("auc", "eer") else 0.0
    if task.metric == "reconstruction_auc":
        return 0.5
    middle = np.median if task.metric == "mae" else np.mean
    answer = np.broadcast_to(middle(wanted, axis=0), wanted.shape)
    metric = "mse" if task.metric == "reconstruction_error" else task.metric
    return value_of(of_numbers(metric, answer, wanted, task.peak))


def _binary(wanted: Array) -> float:
    yes = wanted.mean(axis=0)
    return float(np.maximum(yes, 1 - yes).mean())


def _f1(wanted: Array) -> float:
    yes = float(wanted.mean())
    return 2 * yes / (1 + yes)


def _f1_macro(wanted: Array) -> float:
    shares = _shares(wanted)
    return float((2 * shares / (1 + shares)).max() / len(shares))


def _mean_iou(wanted: Array) -> float:
    shares = _shares(wanted)
    return float(shares.max() / len(shares))


def _worst_recall(wanted: Array) -> float:
    return float(len(_shares(wanted)) == 1)


def _shares(wanted: Array) -> Array:
    """Returns the share of each class that occurs."""
    return np.unique(wanted, return_counts=True)[1] / wanted.size


_BY_LABELS: dict[str, Callable[[Array], float]] = {
    "binary": _binary,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "mean_iou": _mean_iou,
    "worst_recall": _worst_recall,
}
"""Metric of answers -> the value of the best constant one."""
