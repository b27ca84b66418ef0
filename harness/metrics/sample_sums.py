"""Metrics that are functions of sums over samples: shares, F1, recall, IoU, errors, r2, SNR.

    right = answers_right(outputs, labels)                      # SampleSums of the rows (right, elements)
    right()                                                     # array([0.91])
    right(weights)                                              # (r,) values of r resamples

Each sample has a row of numbers; a resample's metric is a function of its sum of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hil.core.arrays import Array, Floats, Integers

_ELEMENTS = 1 << 20
"""Elements of the outputs at a time, where their comparison takes several times their memory."""


@dataclass(frozen=True, eq=False)
class SampleSums:
    """`value` (r, k) -> (r,) of the sums of `rows` (n, k) over samples."""

    rows: Array
    value: Callable[[Floats], Floats]

    def __call__(self, weights: Floats | None = None) -> Floats:
        sums = self.rows.sum(axis=0, keepdims=True) if weights is None else (self._sparse @ weights.T).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.value(np.asarray(sums, np.float64))

    @cached_property
    def _sparse(self) -> Any:
        from scipy.sparse import csr_array  # no BLAS: its threads would decide the last digit of a sum

        return csr_array(self.rows.T, dtype=np.float64)


def quotient(sums: Floats) -> Floats:
    """The first sum over the second; NaN where that is 0."""
    return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)


def _in_parts(rows: Callable[[Array, Array], Array], outputs: Array, labels: Array) -> Array:
    """Returns the rows (n, k) of all samples; memory does not grow with what a sample has."""
    step = max(1, _ELEMENTS // max(1, outputs[:1].size, labels[:1].size))
    parts = [rows(outputs[n : n + step], labels[n : n + step]) for n in range(0, len(labels), step)]
    return np.concatenate(parts)


def _answers(outputs: Array, labels: Array, threshold: float | None) -> Array:
    """Returns class indices of the shape of the labels (n, ...); with a threshold, 1 for yes and 0 for no."""
    if threshold is not None:
        return np.asarray(outputs.reshape(labels.shape) > threshold)
    return np.asarray(outputs.reshape(*labels.shape, -1).argmax(axis=-1))


# -- shares of right elements


def answers_right(outputs: Array, labels: Array, threshold: float | None = None) -> SampleSums:
    """Share of elements in which the largest output is the label's, or yes and no are as the labels (n, ...)."""
    return _shares(lambda given, wanted: _answers(given, wanted, threshold) == wanted, outputs, labels)


def top_k(outputs: Array, labels: Integers, k: int) -> SampleSums:
    """Share of elements whose label is among the k largest outputs; of equal outputs, the first is the larger one."""
    return _shares(lambda given, wanted: _is_in_top(given, wanted, k), outputs, labels)


def _is_in_top(outputs: Array, labels: Integers, k: int) -> Array:
    rows = outputs.reshape(*labels.shape, -1)
    own = np.take_along_axis(rows, labels[..., None], axis=-1)
    later = np.arange(rows.shape[-1]) > labels[..., None]
    found: Array = (~(rows < own) & ~((rows == own) & later)).sum(axis=-1) <= k  # NaN is in no top
    return found


def _shares(is_right: Callable[[Array, Array], Array], outputs: Array, labels: Array) -> SampleSums:
    def rows(given: Array, wanted: Array) -> Floats:
        right = is_right(given, wanted).reshape(len(wanted), -1)
        return np.stack([right.sum(axis=1), np.full(len(wanted), right.shape[1])], axis=1, dtype=np.float64)

    return SampleSums(_in_parts(rows, outputs, labels), quotient)


# -- metrics by class


def by_class(metric: str, outputs: Array, labels: Array, classes: int, threshold: float | None = None) -> SampleSums:
    """`f1`, `f1_macro`, `worst_recall` or `mean_iou` of `classes` (n, ...), or with a threshold of no and yes."""

    def rows(given: Array, wanted: Array) -> Array:
        answers = _answers(given, wanted, threshold).reshape(len(wanted), -1).astype(np.int64)
        wanted = wanted.reshape(len(wanted), -1).astype(np.int64)
        pairs = ((answers, answers == wanted), (wanted, None), (answers, None))
        return np.concatenate([_count(part, where, classes) for part, where in pairs], axis=1, dtype=np.int32)

    def value(sums: Floats) -> Floats:
        return _BY_CLASS[metric](*np.split(sums, 3, axis=1))

    return SampleSums(_in_parts(rows, outputs, labels), value)


def _count(classes: Integers, where: Array | None, count: int) -> Integers:
    """Counts the elements (n, m) of each class, `where` alone, by sample (n, count)."""
    place = classes + count * np.arange(len(classes))[:, None]
    found = np.bincount((place if where is None else place[where]).reshape(-1), minlength=count * len(classes))
    return found.reshape(len(classes), count)


def _f1(right: Floats, labelled: Floats, given: Floats) -> Floats:
    return (2 * right / (labelled + given))[:, 1]


def _f1_macro(right: Floats, labelled: Floats, given: Floats) -> Floats:
    return _mean(2 * right / (labelled + given))


def _worst_recall(right: Floats, labelled: Floats, given: Floats) -> Floats:
    recall = np.where(labelled > 0, right / labelled, np.inf).min(axis=1)
    return np.where(np.isfinite(recall), recall, np.nan)


def _mean_iou(right: Floats, labelled: Floats, given: Floats) -> Floats:
    return _mean(right / (labelled + given - right))


def _mean(values: Floats) -> Floats:
    """Mean over the classes of which there is any element; NaN of the others."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0).sum(axis=1) / known.sum(axis=1))


_BY_CLASS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "f1": _f1,
    "f1_macro": _f1_macro,
    "worst_recall": _worst_recall,
    "mean_iou": _mean_iou,
}
"""Metric -> its function of right, labelled and given elements (r, classes)."""


# -- errors of numbers


def of_numbers(metric: str, outputs: Array, labels: Array, peak: float = 1.0) -> SampleSums:
    """`r2`, `mae`, `mse`, `rmse`, `snr` or `psnr` (of samples up to `peak`) of numbers (n, ...)."""
    mean = np.mean(labels, axis=0, dtype=np.float64).reshape(-1) if metric == "r2" else 0.0

    def rows(given: Array, wanted: Array) -> Floats:
        wanted = np.asarray(wanted, np.float64).reshape(len(wanted), -1)
        error = np.asarray(given, np.float64).reshape(wanted.shape) - wanted
        squares, elements = (error**2).sum(axis=1), np.full(len(wanted), float(wanted.shape[1]))
        if metric == "r2":
            total = ((wanted - mean) ** 2).sum(axis=1)
            return np.stack([total - squares, total], axis=1)
        if metric == "snr":
            return np.stack([(wanted**2).sum(axis=1), squares], axis=1)
        if metric == "psnr":
            with np.errstate(divide="ignore"):
                return np.stack([_db(peak**2 * elements / squares), np.ones(len(wanted))], axis=1)
        return np.stack([np.abs(error).sum(axis=1) if metric == "mae" else squares, elements], axis=1)

    return SampleSums(_in_parts(rows, outputs, labels), _OF_NUMBERS.get(metric, quotient))


def squared_errors(outputs: Array, x: Array) -> Floats:
    """Mean squared error of each sample (n,)."""
    rows = of_numbers("mse", outputs, x).rows
    return np.asarray(rows[:, 0] / rows[:, 1])


def _root(sums: Floats) -> Floats:
    return np.sqrt(quotient(sums))


def _db(ratio: Any) -> Floats:
    return np.asarray(10 * np.log10(ratio), np.float64)


def _decibels(sums: Floats) -> Floats:
    return _db(sums[:, 0] / sums[:, 1])


_OF_NUMBERS: dict[str, Callable[[Floats], Floats]] = {"rmse": _root, "snr": _decibels}
"""Metric -> its function of two sums, where it is not their quotient."""
