"""Score of the float base, beside that of the best constant answer to the test labels.

    found = base_score(task, labels, outputs)
    found.value, found.constant, found.learned_nothing      # 0.467, 0.533, True
    found.remark      # "float base: 46.7 % top1, no better than always naming the most frequent class (53.3 %): ..."

A network that learned nothing gives optimized models that lose nothing, and so meets every limit on the drop.  The best
constant answer is the most frequent class (`top1`), the more frequent answer of each output (`binary`), the mean of the
labels (`r2`: 0), any number (`auc`: 0.5).  Of a metric of the user's own no such answer is known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.metrics.scores import finite_score
from hil.harness.model import Scale
from hil.harness.model.metric import scale_of

_ANSWERS = {
    "top1": "always naming the most frequent class",
    "binary": "always giving the more frequent answer",
    "auc": "a score that is always the same",
    "r2": "the mean of the labels",
}
"""Metric -> the best constant answer in words."""


@dataclass(frozen=True)
class BaseScore:
    """Value of a named `metric` of the float base, and of the best `constant` answer, both as fractions of 1."""

    metric: str
    value: float
    constant: float

    @property
    def learned_nothing(self) -> bool:
        """True for a base no better than a constant answer; one that is right on every sample shows nothing."""
        return self.value <= self.constant < 1

    @property
    def remark(self) -> str:
        """Line on a base that learned nothing; empty for any other."""
        if not self.learned_nothing:
            return ""
        scale: Scale = scale_of(self.metric)
        answer = f"{_ANSWERS[self.metric]} ({scale.text(self.constant)})"
        return f"float base: {self.metric} {scale.text(self.value)}, no better than {answer}: nothing was learned"

    def record(self) -> dict[str, Any]:
        """Returns the score as JSON."""
        return {**asdict(self), "learned_nothing": self.learned_nothing}


def base_score(task: LearningTask, labels: Array, outputs: Array) -> BaseScore | None:
    """Scores float outputs (n, ...) of the base against the data's labels (n, ...); None for a metric of the user's.

    Raises `BadInputError` if the metric is no finite number.
    """
    if task.own is not None:
        return None
    wanted = task.labels(labels)
    value = finite_score(task, outputs, wanted, "float base")
    return BaseScore(task.metric, value, _constant(task.metric, wanted))


def _constant(metric: str, labels: Array) -> float:
    """Returns the metric of the best constant answer to labels in the metric's own form."""
    if metric == "top1":
        return float(np.bincount(labels.ravel()).max() / labels.size)
    if metric == "binary":
        yes = labels.mean(axis=0)
        return float(np.maximum(yes, 1 - yes).mean())
    return 0.5 if metric == "auc" else 0.0
