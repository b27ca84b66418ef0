"""Change points of a series of nights, in retrospect: E-divisive means with a t-test.

    >>> before = [100, 103, 99, 101, 104, 98, 100, 102, 97, 101, 103, 99]
    >>> after = [107, 109, 106, 110, 108, 107, 111, 106, 109, 108]
    >>> [(found.position, round(found.before, 1), round(found.after, 1)) for found in change_points(before + after)]
    [(12, 100.6, 108.1)]

The statistic is that of Matteson and James (Journal of the American Statistical Association 109, 2014), with alpha = 1:
twice the mean distance of the values before and after a split, less the mean distances among each, weighted by the
sizes.  The best split of a segment is searched over all ends of the part after it as well, so a regression that was
mended later is found.  As in Apache Otava (docs/MATH.md) a t-test takes the place of the permutations, so the same
series gives the same points; here it is Welch's, and its p-value is multiplied by the number of positions it was chosen
from.  Points found in this way are tested again between their neighbours, the weakest first, until all are significant.

Nights are taken as independent: in a series that drifts slowly, turns of the drift are change points, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Floats

FEWEST_BESIDE = 10
"""Nights on each side of a change point: with fewer, users of Otava saw the second night called one."""

SIGNIFICANCE = 0.001
"""Chance, nearly, of a change point in a series of independent nights without one."""


@dataclass(frozen=True)
class ChangePoint:
    """The night at `position` is the first of a new level: means `before` and `after` it, up to the next points.

    `p_value` is that of the t-test, multiplied by the number of positions in the series.
    """

    position: int
    before: float
    after: float
    p_value: float

    @property
    def change(self) -> float:
        return self.after - self.before


def change_points(
    series: Sequence[float],
    *,
    fewest: int = FEWEST_BESIDE,
    significance: float = SIGNIFICANCE,
    smallest: float = 0.0,
) -> list[ChangePoint]:
    """Returns the change points of a series, in order; `smallest` is the least change, a fraction of the mean before.

    A point has at least `fewest` nights between itself and its neighbours, or the ends.
    """
    given = np.asarray(series, dtype=np.float64)
    exponent = np.frexp(np.abs(given).max(initial=0))[1]
    values = np.ldexp(given, -exponent)  # at most 1, exactly: squares of very large or small ones are no numbers
    found = _split(values, fewest, significance)
    while found:
        tested = [_tested(values, exponent, *position) for position in _between(found, len(values))]
        weakest = max(tested, key=lambda point: (_is_small(point, smallest), point.p_value))
        if weakest.p_value <= significance and not _is_small(weakest, smallest):
            return tested
        found.remove(weakest.position)
    return []


def _split(values: Floats, fewest: int, significance: float) -> list[int]:
    """Returns the positions at which a series falls into significantly different parts, in order."""
    found, open_segments = [], [(0, len(values))]
    while open_segments:
        start, end = open_segments.pop()
        if end - start < 2 * fewest or np.ptp(values[start:end]) == 0:
            continue
        split, until = _best_split(values[start:end], fewest)
        if _p_value(values[start : start + split], values[start + split : start + until], len(values)) <= significance:
            found.append(start + split)
            open_segments += [(start, start + split), (start + split, end)]
    return sorted(found)


def _best_split(values: Floats, fewest: int) -> tuple[int, int]:
    """Returns the split t and end k with the largest statistic of the values before t and those from t to k."""
    count = len(values)
    sums = np.zeros((count + 1, count + 1))  # sums[i, j]: of the distances of the first i values to the first j
    np.cumsum(np.abs(values[:, None] - values), axis=0, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    among, ends = sums.diagonal(), np.arange(count + 1.0)  # both orders of a pair
    splits, untils = slice(fewest, count - fewest + 1), slice(2 * fewest, None)
    split, until = ends[splits, None], ends[untils]
    after = np.maximum(until - split, 2)  # shorter ones are left out below
    before_among, between = among[splits, None], sums[splits, untils] - among[splits, None]
    distance = 2 * between / (split * after)
    distance -= before_among / (split * (split - 1))
    distance -= (among[untils] - before_among - 2 * between) / (after * (after - 1))
    distance *= split * after / (split + after)
    statistic = np.where(until - split >= fewest, distance, -np.inf)
    row, column = np.unravel_index(int(np.argmax(statistic)), statistic.shape)
    return int(row) + fewest, int(column) + 2 * fewest


def _between(found: Sequence[int], count: int) -> list[tuple[int, int, int]]:
    return list(zip([0, *found[:-1]], found, [*found[1:], count], strict=True))


def _tested(values: Floats, exponent: int, start: int, position: int, end: int) -> ChangePoint:
    before, after = values[start:position], values[position:end]
    mean_before, mean_after = (float(np.ldexp(side.mean(), exponent)) for side in (before, after))
    return ChangePoint(position, mean_before, mean_after, _p_value(before, after, len(values)))


def _is_small(point: ChangePoint, smallest: float) -> bool:
    return abs(point.change) < smallest * abs(point.before)


def _p_value(before: Floats, after: Floats, positions: int) -> float:
    """Returns the two-sided p-value of Welch's t-test, times the number of positions, at most 1."""
    from scipy.special import stdtr  # lazily: 0.1 s

    difference = float(after.mean() - before.mean())
    parts = [float(side.var(ddof=1)) / len(side) for side in (before, after)]
    variance = sum(parts)
    if difference == 0:
        return 1.0
    if variance <= (1e-12 * difference) ** 2:
        return 0.0
    freedom = variance**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (before, after), strict=True))
    return min(1.0, 2 * float(stdtr(freedom, -abs(difference) / math.sqrt(variance))) * positions)
