"""Accuracy: the model's own metric, and its drop in an optimized model.

    result = compare("top1", labels, reference=base, keras=pruned, candidate=outputs, on_target=picked)
    result.drop, result.low, result.high          # 0.004, 0.001, 0.007: fractions, not percent

Both models see the same samples, so the interval is a *paired* one: only the samples on which exactly one of the two is
right say anything about the drop.  For top-1 it is the adjusted Wald interval of Agresti and Min (Statistics in
Medicine 24, 2005: half a count added to each of the four cells), which keeps its coverage when few samples disagree;
for any other metric a bootstrap over samples with a fixed seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.harness.model import Metric

Z95 = 1.959963984540054
RESAMPLES = 1000


@dataclass(frozen=True)
class Accuracy:
    """A metric of several models on the same `samples`; all values are fractions.

    `reference` is the float base, `keras` the float model of the candidate's own path before conversion, `value` the
    candidate, `drop` = reference - value (negative when the candidate is better), `low`..`high` its 95 % interval.
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

    @property
    def drop(self) -> float:
        return self.reference - self.value


def top1(outputs: Array, labels: Array) -> float:
    """Fraction of samples whose largest output is the label's; `outputs` (n, classes), `labels` (n,)."""
    return float(np.mean(_correct(outputs, labels)))


def auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve, ties counted half; the last output column is the score, `labels` are 0 or 1."""
    scores = np.asarray(outputs, np.float64).reshape(len(labels), -1)[:, -1]
    positive = np.asarray(labels).astype(bool)
    count = int(positive.sum())
    if not 0 < count < len(positive):
        raise BadInputError("AUC needs samples of both classes")
    if np.isnan(scores).any():
        return math.nan
    ours, others = np.sort(scores[positive]), np.sort(scores[~positive])
    below = sum(int(np.searchsorted(others, ours, side).sum()) for side in ("left", "right"))
    return below / 2 / (count * (len(positive) - count))


METRICS: dict[str, Metric] = {"top1": top1, "auc": auc}


def compare(
    metric: str | Metric, labels: Array, *, reference: Array, keras: Array, candidate: Array, on_target: Array
) -> Accuracy:
    """The metric of each model, with the paired interval of the drop.

    Outputs are float (n, ...); `on_target` holds the indices of the samples that ran on the target.
    """
    function = METRICS[metric] if isinstance(metric, str) else metric
    name = metric if isinstance(metric, str) else str(getattr(metric, "__name__", "metric"))
    if function is top1:
        low, high = _paired_wald(_correct(reference, labels), _correct(candidate, labels))
    else:
        low, high = _paired_bootstrap(function, labels, reference, candidate)
    before, between, after = (float(function(outputs, labels)) for outputs in (reference, keras, candidate))
    try:
        measured = float(function(candidate[on_target], labels[on_target]))
    except (HilError, ArithmeticError, ValueError, IndexError):  # too few samples for this metric
        measured = math.nan
    return Accuracy(name, after, before, between, low, high, len(labels), measured, len(on_target))


def _correct(outputs: Array, labels: Array) -> NDArray[np.bool_]:
    flat = np.asarray(outputs).reshape(len(labels), -1)
    return np.asarray(flat.argmax(axis=1) == np.asarray(labels).reshape(-1))


def _paired_wald(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> tuple[float, float]:
    lost = int((reference & ~candidate).sum()) + 0.5
    won = int((~reference & candidate).sum()) + 0.5
    n = len(reference) + 2
    drop = (lost - won) / n
    half = Z95 * math.sqrt(max(lost + won - (lost - won) ** 2 / n, 0.0)) / n
    return drop - half, drop + half


def _paired_bootstrap(function: Metric, labels: Array, reference: Array, candidate: Array) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drops: list[float] = []
    while len(drops) < RESAMPLES:
        pick = rng.integers(0, len(labels), len(labels))
        if function is auc and len(np.unique(labels[pick])) < 2:
            continue  # a resample of one class has no AUC
        drops.append(float(function(reference[pick], labels[pick])) - float(function(candidate[pick], labels[pick])))
    low, high = np.quantile(drops, [0.025, 0.975])
    return float(low), float(high)
