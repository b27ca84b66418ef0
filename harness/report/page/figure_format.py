"""Formats of figures and nights for people.

>>> format_value(0.9134, "fraction"), format_value(4096, "bytes"), format_value(1.23456, "ms"), format_value(None, "ms")
('91.34 %', '4,096 bytes', '1.235 ms', '')
>>> format_change(0.9134, 0.9034, -0.011, "fraction"), format_change(4000, 4100, 0.025, "bytes")
('-1.00 points', '+2.5 %')
>>> format_change(2.001, 2.0, -0.0004, "ms")
'+0.0 %'
"""

from __future__ import annotations

from datetime import datetime, timezone

from hil.harness.comparison.comparison_table import format_number
from hil.harness.model.metric import FRACTION
from hil.harness.report.content import Night

_MOST_PERCENT = 10
"""Relative change from which a percentage says less than the two values."""


def format_value(value: float | None, unit: str) -> str:
    """Formats a figure with its unit; a share in percent.  No figure is an empty text."""
    if value is None:
        return ""
    if unit == FRACTION:
        return f"{100 * value:.2f} %"
    return f"{format_number(value, unit)} {unit}".rstrip()


def format_change(before: float | None, after: float | None, relative: float | None, unit: str) -> str:
    """Formats a change in percent of the value before; that of a share in points."""
    if before is None or after is None:
        return ""
    if unit == FRACTION:
        return f"{100 * (after - before):+.2f} points"
    if relative is None or abs(relative) >= _MOST_PERCENT:
        return f"{format_number(after - before, unit, '+')} {unit}".rstrip()
    return f"{round(100 * relative, 1) + 0.0:+.1f} %"  # of -0.04 no -0.0


def format_time(moment: datetime) -> str:
    """Formats a time in UTC; one without a zone is taken for UTC."""
    return _utc(moment).strftime("%Y-%m-%d %H:%M")


def format_night(night: Night) -> str:
    """Formats the day of a night."""
    return _utc(night.started).strftime("%Y-%m-%d")


def seconds(moment: datetime) -> int:
    """Returns the seconds since 1970."""
    return int(_utc(moment).timestamp())


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
