"""Changes over the nights as tables: change points of figures, and what else changed in which night."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hil.harness.report.content import ChangePoint, Content, Trend
from hil.harness.report.page.figure_format import format_change, format_night, format_value
from hil.harness.report.page.finding_sections import MOST_ROWS, format_place


@dataclass(frozen=True)
class ChangeRow:
    """A change point: `trend` is the place of its trend, `is_worse` its direction."""

    night: str
    deployment: str
    place: str
    figure: str
    trend: int
    before: str
    after: str
    change: str
    is_worse: bool
    is_acknowledged: bool
    cause: tuple[str, ...]


@dataclass(frozen=True)
class MarkRow:
    """Something that figures depend on changed in a night: `trends` counts the trends that it touches."""

    night: str
    part: str
    text: str
    trends: int


def change_rows(content: Content, trends: tuple[Trend, ...]) -> tuple[list[ChangeRow], int]:
    """Returns the newest change points, and the number of those left out."""
    found = [(change, place, trend) for place, trend in enumerate(trends) for change in trend.changes]
    found.sort(key=lambda one: (-one[0].run, one[1]))
    return [_row(content, *one) for one in found[:MOST_ROWS]], max(0, len(found) - MOST_ROWS)


def is_worse(change: ChangePoint, trend: Trend) -> bool:
    """Tells the direction of a change."""
    return (change.after > change.before) == trend.series.lower_is_better


def mark_rows(content: Content) -> tuple[list[MarkRow], int]:
    """Returns the newest marks, each once, and the number of those left out."""
    found = Counter((mark.run, mark.part, mark.text) for trend in content.trends for mark in trend.marks)
    ordered = sorted(found.items(), key=lambda one: (-one[0][0], *one[0][1:]))
    rows = [MarkRow(format_night(content.runs[run]), part, text, n) for (run, part, text), n in ordered[:MOST_ROWS]]
    return rows, max(0, len(ordered) - MOST_ROWS)


def _row(content: Content, change: ChangePoint, place: int, trend: Trend) -> ChangeRow:
    series = trend.series
    relative = (change.after - change.before) / abs(change.before) if change.before else None
    return ChangeRow(
        night=format_night(content.runs[change.run]),
        deployment=series.deployment,
        place=format_place(series),
        figure=series.figure,
        trend=place,
        before=format_value(change.before, series.unit),
        after=format_value(change.after, series.unit),
        change=format_change(change.before, change.after, relative, series.unit),
        is_worse=is_worse(change, trend),
        is_acknowledged=change.is_acknowledged,
        cause=change.cause,
    )
