"""Resamples of a test set, and the paired bootstrap interval of a metric's drop over them.

    low, high = paired_interval(drops, samples)     # drops(weights) -> the drop in each resample

A resample is a row of weights: how often it has each sample.  A metric that sums over samples, ranks them or matches
boxes in them takes the weights of many resamples at once, and looks at outputs and labels only once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from hil.core.arrays import Floats

RESAMPLES = 1000
_ELEMENTS = 4_000_000
"""Weights at a time: 32 MB."""


class Statistic(Protocol):
    """A metric of a model's outputs, as a function of the samples that count."""

    def __call__(self, weights: Floats | None = None) -> Floats:
        """Returns the values (r,) of resamples `weights` (r, n), of all samples once if None; NaN where undefined."""


def value_of(statistic: Statistic) -> float:
    """Returns the metric of all samples."""
    return float(statistic()[0])


def paired_interval(drops: Callable[[Floats], Floats], samples: int) -> tuple[float, float]:
    """95 % of the drops that are finite, by a bootstrap over samples with a fixed seed; NaN if none is."""
    found = np.concatenate([drops(weights) for weights in _resamples(samples)])
    finite = found[np.isfinite(found)]
    if not finite.size:
        return math.nan, math.nan
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def _resamples(samples: int) -> Iterator[Floats]:
    """Iterates over weights (r, samples) of `RESAMPLES` resamples."""
    rng, left = np.random.default_rng(0), RESAMPLES
    while left:
        rows = min(left, max(1, _ELEMENTS // samples))
        places = rng.integers(0, samples, (rows, samples)) + samples * np.arange(rows)[:, None]
        counts = np.bincount(places.reshape(-1), minlength=rows * samples)
        yield counts.reshape(rows, samples).astype(np.float64)
        left -= rows
