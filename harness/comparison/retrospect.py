"""Change points in the figures of all recorded nights, with what differed between the two nights at each.

    for change in changes_in_retrospect(results, model="kws"):
        print(change.deployment, change.figure, change.before, change.after, change.run_id, change.cause)

A series is one figure of a deployment on one accelerator, memory mode and board, over the finished runs.  Exact figures
have no noise, so each change of theirs is a change point; in measured ones `hil.harness.judgement.e_divisive` finds
them.  A change point is known when somebody has acknowledged it, within two nights of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hil.harness.comparison.dependencies import changes
from hil.harness.comparison.gates import USUAL
from hil.harness.judgement import Acknowledged, ChangePoint, change_points, exact_changes, unacknowledged
from hil.harness.results.records import AcknowledgedRecord, Series

if TYPE_CHECKING:
    from hil.harness.results.nights import NightlyFigure, Nights
    from hil.harness.results.results import Results


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
    nights = results.nights(figures, models=[model] if model else ())
    found = [
        _change(nights, of_series, position, known=known)
        for of_series in nights.figures
        for position, known in changes_of(of_series, [run.id for run in nights.runs], acknowledged)
    ]
    return sorted(found, key=lambda change: change.started, reverse=True)


def changes_of(
    found: NightlyFigure, run_ids: Sequence[str], acknowledged: Iterable[AcknowledgedRecord]
) -> list[tuple[ChangePoint, bool]]:
    """Returns the change points of one series, their positions in it, each with whether it was acknowledged."""
    values = found.values.tolist()
    points = exact_changes(values) if found.is_exact else change_points(values)
    if not points:
        return []
    series = Series(found.model, found.path, found.target, found.figure)
    known = [Acknowledged(str(series), one.run_id, one.note) for one in acknowledged if one.series == series]
    new = unacknowledged(str(series), points, [run_ids[run] for run in found.runs], known) if known else points
    return [(point, point not in new) for point in points]


def _change(nights: Nights, found: NightlyFigure, point: ChangePoint, *, known: bool) -> Change:
    before, first = (int(found.runs[position]) for position in (point.position - 1, point.position))
    run, series = nights.runs[first], Series(found.model, found.path, found.target, found.figure)
    cause = changes(found.identities[before], found.identities[first])
    return Change(series, run.id, run.started, point.before, point.after, found.unit, cause, known)
