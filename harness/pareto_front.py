"""The Pareto front: the points that no other point dominates.

    >>> pareto_front([(0.12, -0.915), (0.08, -0.908), (0.13, -0.91)])
    [0, 1]

Every coordinate is a cost, so less is better; negate an accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[Sequence[float]]) -> list[int]:
    """Returns the indices of the points that no other dominates, in the order given.

    A point dominates another if no coordinate is worse and one is better, so equal points are on the front together.  A
    point with NaN or infinity is unknown: it is never on the front and dominates nothing.  Raises `ValueError` for
    points of different length.
    """
    known = [(place, point) for place, point in enumerate(points) if all(map(math.isfinite, point))]
    return [place for place, point in known if not any(_dominates(other, point) for _, other in known)]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
