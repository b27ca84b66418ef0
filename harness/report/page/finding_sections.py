"""Findings of the newest run as sections of the page: worse, unknown, better, not run, new, within the gate.

Figures of one deployment that have the same outcome for the same reason and no values, such as those of a deployment
that did not run, share a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.harness.comparison.comparison import Outcome
from hil.harness.report.content import Content, Finding, Series
from hil.harness.report.page.figure_format import format_change, format_night, format_value

MOST_ROWS = 300
"""Rows of a table that the page shows; it names the number of the others."""
_MOST_LINES = 8
_COLUMNS = ("before", "after", "change", "since")
"""Columns that a section does without if they are empty."""


@dataclass(frozen=True)
class FindingRow:
    """A row: `trends` are (figure, place of its trend or None); `change` is a number for sorting."""

    deployment: str
    place: str
    trends: tuple[tuple[str, int | None], ...]
    outcome: str
    before: str
    after: str
    change: str
    relative: float | None
    since: str
    cause: tuple[str, ...]
    more_causes: int
    reason: str
    fails: bool


@dataclass(frozen=True)
class Section:
    """Findings of one kind: `total` counts figures, `hidden` the rows that are left out; `columns` have any value."""

    id: str
    title: str
    rows: tuple[FindingRow, ...]
    total: int
    hidden: int
    columns: frozenset[str]


_SECTIONS = (
    ("worse", "Worse", (Outcome.WORSE,)),
    ("unknown", "Unknown", (Outcome.UNKNOWN, Outcome.NOT_CONFIRMED, Outcome.NOT_COMPARABLE)),
    ("better", "Better", (Outcome.BETTER,)),
    ("not-run", "Not run", (Outcome.MISSING, Outcome.NOT_RUN)),
    ("new", "New", (Outcome.NEW,)),
    ("within-gate", "Changed within the gate", (Outcome.SAME,)),
)


def sections(content: Content, trend_of: dict[str, int]) -> list[Section]:
    """Returns the sections that have findings; `trend_of` is the place of each series' trend."""
    return [
        _section(key, title, found, content, trend_of)
        for key, title, outcomes in _SECTIONS
        if (found := [one for one in content.findings if one.outcome in {outcome.value for outcome in outcomes}])
    ]


def format_place(series: Series) -> str:
    """Formats where a deployment ran."""
    board = f", {series.board}" if series.board else ""
    return f"{series.target}, {series.accelerator}{board}"


def _section(key: str, title: str, found: Sequence[Finding], content: Content, trend_of: dict[str, int]) -> Section:
    ordered = sorted(found, key=lambda one: (not one.fails, -abs(one.relative or 0.0)))
    rows = [_row(group, content, trend_of) for group in _grouped(ordered)]
    hidden = max(0, len(rows) - MOST_ROWS)
    columns = frozenset(name for name in _COLUMNS if any(getattr(row, name) for row in rows))
    return Section(key, title, tuple(rows[:MOST_ROWS]), len(found), hidden, columns)


def _grouped(found: Sequence[Finding]) -> list[list[Finding]]:
    """Groups findings without values that differ in nothing but the figure."""
    groups: dict[object, list[Finding]] = {}
    for number, one in enumerate(found):
        deployment = (one.series.deployment, format_place(one.series), one.series.memory_mode)
        is_alike = one.after is None and one.outcome != Outcome.WORSE.value
        key = (*deployment, one.outcome, one.reason, one.cause, one.fails, one.since) if is_alike else number
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _row(group: Sequence[Finding], content: Content, trend_of: dict[str, int]) -> FindingRow:
    first, series = group[0], group[0].series
    is_single = len(group) == 1
    return FindingRow(
        deployment=series.deployment,
        place=format_place(series),
        trends=tuple((one.series.figure, trend_of.get(one.series.id)) for one in group),
        outcome=first.outcome,
        before=format_value(first.before if is_single else None, series.unit),
        after=format_value(first.after if is_single else None, series.unit),
        change=format_change(first.before, first.after, first.relative, series.unit),
        relative=first.relative,
        since="" if first.since is None else format_night(content.runs[first.since]),
        cause=first.cause[:_MOST_LINES],
        more_causes=max(0, len(first.cause) - _MOST_LINES),
        reason=first.reason,
        fails=any(one.fails for one in group),
    )
