"""Acknowledged change points: known ones, that a report leaves out.

>>> known = [Acknowledged("fashion_cnn pqat serial cycles", "2026-11-03", "new compiler")]
>>> nights = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
>>> unacknowledged("fashion_cnn pqat serial cycles", [ChangePoint(3, 100.0, 108.0, 0.0)], nights, known)
[]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hil.harness.judgement.e_divisive import ChangePoint

TOLERANCE = 2
"""Nights by which a point's position moves while the series grows: it is estimated anew each time."""


@dataclass(frozen=True)
class Acknowledged:
    """A known change point: its series, the name of its night, and why it is known."""

    series: str
    night: str
    reason: str = ""


def unacknowledged(
    series: str, points: Sequence[ChangePoint], nights: Sequence[str], known: Iterable[Acknowledged]
) -> list[ChangePoint]:
    """Returns the points of a series that are not known; `nights` names the series' nights, in its order.

    One entry silences one point, the nearest within `TOLERANCE` nights.
    """
    left = list(points)
    at = {night: position for position, night in enumerate(nights)}
    for entry in known:
        if entry.series != series or entry.night not in at:
            continue
        near = [point for point in left if abs(point.position - at[entry.night]) <= TOLERANCE]
        if near:
            left.remove(min(near, key=lambda point: abs(point.position - at[entry.night])))
    return left
