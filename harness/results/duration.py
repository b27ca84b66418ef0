"""Durations as a user writes them: `12h`, `90d`, `26w`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta | None:
    """Returns a number of hours, days or weeks; None for a text that is none."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
