"""Change points in the figures of all recorded nights, with what differed between the two nights at each.

    for change in changes_in_retrospect(results, model="kws"):
        print(change.deployment, change.figure, change.before, change.after, change.run_id, change.cause)

A series is one figure of a deployment on one accelerator, memory mode and board, over the finished runs.  A change
point is known when somebody has acknowledged it, within two nights of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hil.harness.comparison.dependencies import changes
from hil.harness.comparison.gates import USUAL
from hil.harness.judgement import Acknowledged, ChangePoint, change_points, unacknowledged
from hil.harness.results.records import AcknowledgedRecord, HistoryPoint, Series

if TYPE_CHECKING:
    from hil.harness.results.results import Results

_PLACE = ("accelerator", "memory_mode", "board")
"""Fields of the identity that make another series."""


@dataclass(frozen=True)
class Change:
    """A change point: the night of `run_id` is the first at the level `after`.

    `cause` are the fields of the identity that differ from the night before; `known`: it was acknowledged.
    """

    series: Series
    run_id: str
    started: datetime
    before: float
    after: float
    unit: str
    cause: dict[str, tuple[str, str]]
    known: bool

    @property
    def deployment(self) -> str:
        return f"{self.series.model}-{self.series.path}"

    @property
    def figure(self) -> str:
        return self.series.figure


def changes_in_retrospect(results: Results, model: str = "", figures: Sequence[str] = USUAL) -> list[Change]:
    """Returns the change points of every series, of one model or of all, the newest first."""
    acknowledged = results.acknowledged()
    found = [
        change
        for series in results.series(model)
        if series.figure in figures
        for points in _by_place(results, series)
        for change in _changes(series, points, acknowledged)
    ]
    return sorted(found, key=lambda change: change.started, reverse=True)


def _by_place(results: Results, series: Series) -> list[list[HistoryPoint]]:
    """The finished nights of a series, apart by accelerator, memory mode and board."""
    apart: dict[tuple[str, ...], list[HistoryPoint]] = {}
    for point in results.history(series.model, series.path, series.target, series.figure):
        if point.finished:
            apart.setdefault(tuple(point.identity.get(name, "") for name in _PLACE), []).append(point)
    return list(apart.values())


def _changes(
    series: Series, points: Sequence[HistoryPoint], acknowledged: Sequence[AcknowledgedRecord]
) -> Iterator[Change]:
    values = [point.figure.value for point in points]
    found, name = change_points(values), str(series)
    known = [Acknowledged(str(one.series), one.run_id, one.note) for one in acknowledged]
    new = unacknowledged(name, found, [point.run_id for point in points], known)
    for change in found:
        yield _change(series, points, change, known=change not in new)


def _change(series: Series, points: Sequence[HistoryPoint], found: ChangePoint, *, known: bool) -> Change:
    before, first = points[found.position - 1], points[found.position]
    cause = changes(before.identity, first.identity)
    return Change(series, first.run_id, first.started, found.before, found.after, first.figure.unit, cause, known)
