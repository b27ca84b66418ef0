"""Metrics of the order in which a score puts positive and negative samples: AUC and EER.

    RankStatistic("auc", scores, positive)()            # array([0.98])
    RankStatistic("eer", scores, positive)(weights)     # (r,) values of r resamples

The scores are sorted once; samples of equal scores are one step of the ROC curve, which is a line between its points.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hil.core.arrays import Array, Floats, Integers


class RankStatistic:
    """`auc` or `eer` of `scores` (n,), larger for `positive` (n,) samples; NaN where all samples are of one kind."""

    def __init__(self, metric: str, scores: Array, positive: Array) -> None:
        self._value = _eer if metric == "eer" else _auc
        self._scores = np.asarray(scores, np.float64).reshape(-1)
        self._positive = np.asarray(positive).astype(bool).reshape(-1)

    def __call__(self, weights: Floats | None = None) -> Floats:
        weights = np.ones((1, len(self._scores))) if weights is None else weights
        if np.isnan(self._scores).any():
            return np.full(len(weights), np.nan)
        ordered, positive = weights[:, self._order], self._positive[self._order]
        ours, others = (np.add.reduceat(ordered * kind, self._steps, axis=1) for kind in (positive, ~positive))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._value(ours, others)

    @cached_property
    def _order(self) -> Integers:
        """Samples, the largest score first."""
        return np.argsort(-self._scores, kind="stable")

    @cached_property
    def _steps(self) -> Integers:
        """Places in the order at which another score begins."""
        ordered = self._scores[self._order]
        return np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])


def _auc(ours: Floats, others: Floats) -> Floats:
    """Area under the ROC curve from the positives and negatives of each step (r, steps)."""
    below = others.sum(axis=1, keepdims=True) - np.cumsum(others, axis=1) + others / 2
    return np.asarray((ours * below).sum(axis=1) / (ours.sum(axis=1) * others.sum(axis=1)))


def _eer(ours: Floats, others: Floats) -> Floats:
    """Error rate at which as large a share of positives is missed as of negatives is accepted."""
    start = np.zeros((len(ours), 1))
    found, alarms = (np.hstack([start, np.cumsum(n, axis=1) / n.sum(axis=1, keepdims=True)]) for n in (ours, others))
    excess = alarms + found - 1  # of accepted negatives over missed positives: from -1 to 1
    after = (excess >= 0).argmax(axis=1)[:, None]
    one, two = (np.take_along_axis(excess, place, axis=1) for place in (np.maximum(after - 1, 0), after))
    left, right = (np.take_along_axis(alarms, place, axis=1) for place in (np.maximum(after - 1, 0), after))
    return np.asarray(left + (right - left) * one / (one - two))[:, 0]
