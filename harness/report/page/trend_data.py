"""Data of the plots: all trends as compact JSON, deflated, in base64, which the page's script reads.

A year of 3,400 trends is several megabytes as plain JSON.  Texts stand once in `words`, and lists of nights once in
`nights`, as differences.  Base64 has no character that HTML would read.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from hil.harness.comparison.comparison import Outcome
from hil.harness.drawing.canvas import sanitize
from hil.harness.report.content import Content, Trend
from hil.harness.report.page.changes import is_worse
from hil.harness.report.page.figure_format import seconds

_DIGITS = 7
"""Significant digits of a value; counted figures are whole anyway."""
_ORDER = (
    *(Outcome.WORSE, Outcome.UNKNOWN, Outcome.NOT_CONFIRMED, Outcome.MISSING, Outcome.NOT_RUN),
    *(Outcome.NOT_COMPARABLE, Outcome.BETTER, Outcome.NEW),
)
Key = TypeVar("Key", bound=Hashable)


class _Numbered(Generic[Key]):
    """Values in the order of their first use; calling it returns the number of a value."""

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}

    def __call__(self, value: Key) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def order_trends(content: Content) -> tuple[Trend, ...]:
    """Returns the trends in the order of the page: by outcome, then by their newest change, then as they are."""
    grades = {outcome.value: grade for grade, outcome in enumerate(_ORDER)}
    outcomes = {one.series.id: grades.get(one.outcome, len(_ORDER)) for one in content.findings}
    newest = {trend.series.id: max((change.run for change in trend.changes), default=-1) for trend in content.trends}
    return tuple(
        sorted(content.trends, key=lambda one: (outcomes.get(one.series.id, len(_ORDER)), -newest[one.series.id]))
    )


def encode(content: Content, trends: Sequence[Trend], pictures: Sequence[Sequence[str]]) -> str:
    """Encodes the trends, in the order given, and the pictures of the groups of leaves."""
    words: _Numbered[str] = _Numbered()
    nights: _Numbered[tuple[int, ...]] = _Numbered()
    outcomes = {one.series.id: one.outcome for one in content.findings}
    encoded = [_encode_trend(trend, outcomes.get(trend.series.id, ""), words, nights) for trend in trends]
    data = {
        "runs": [[sanitize(night.id), seconds(night.started)] for night in content.runs],
        "words": list(words.numbers),
        "nights": list(nights.numbers),
        "trends": encoded,
        "pictures": pictures,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _encode_trend(trend: Trend, outcome: str, words: _Numbered[str], nights: _Numbered[tuple[int, ...]]) -> list[Any]:
    """Returns a trend as the list that `readTrend` in trend_data.js reads."""
    series, runs = trend.series, [point.run for point in trend.points]
    place = (series.model, series.path, series.target, series.accelerator, series.memory_mode, series.board)
    names = (*place, series.figure, series.unit, series.trust, outcome)
    ranges = [[_short(point.low), _short(point.high)] for point in trend.points]
    return [
        [words(sanitize(name)) for name in names],
        int(series.lower_is_better),
        trend.nights,
        nights(tuple(run - before for run, before in zip(runs, [0, *runs], strict=False))),
        [_short(point.value) for point in trend.points],
        ranges if any(low is not None or high is not None for low, high in ranges) else 0,
        [_short(end) for end in trend.band] if trend.band else 0,
        [
            [
                *(change.run, _short(change.before), _short(change.after), int(is_worse(change, trend))),
                *(int(change.is_acknowledged), words(sanitize("; ".join(change.cause)))),
            ]
            for change in trend.changes
        ],
        [[mark.run, words(sanitize(mark.part)), words(sanitize(mark.text))] for mark in trend.marks],
        [[words(sanitize(name)), run] for name, run in trend.baselines],
    ]


def _short(value: float | None) -> float | int | None:
    """Returns a number with no more digits than anyone reads."""
    if value is None:
        return None
    return int(value) if float(value).is_integer() else float(f"{value:.{_DIGITS}g}")
