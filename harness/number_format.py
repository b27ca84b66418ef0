"""Formats of numbers for tables and lines.

>>> fixed([0.1193, 0.0836]), fixed([0.0019, 0.0016]), fixed([123.456])
(['0.1193', '0.0836'], ['0.00190', '0.00160'], ['123.456'])
>>> [data_size(size) for size in (912, 358_116, 20_000_000)]
['912 bytes', '358.1 KB', '20.0 MB']
>>> listed(["SRAM", "flash", "weights"])
'SRAM, flash and weights'
>>> plural("run", 1), plural("run", 0)
('run', 'runs')
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_SIGNIFICANT = 3


def fixed(values: Sequence[float], least: int = 3) -> list[str]:
    """Formats numbers of one column with equally many digits after the point, at least `least`.

    The smallest that is not 0 has three significant digits.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    digits = _SIGNIFICANT - 1 - math.floor(math.log10(min(sizes))) if sizes else 0
    return [f"{value:,.{max(least, digits)}f}" for value in values]


def data_size(size: float) -> str:
    """Formats bytes in the largest unit of a thousand that leaves 1 or more."""
    if size < 1000:
        return f"{size:.0f} bytes"
    units = ("KB", "MB", "GB")
    power = min(len(units), int(math.log10(size) / 3))
    return f"{size / 1000**power:,.1f} {units[power - 1]}"


def listed(words: Sequence[str]) -> str:
    """Joins words by commas, the last two by "and"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plural(noun: str, number: int) -> str:
    """Returns a noun as it stands behind a number."""
    return noun if number == 1 else f"{noun}s"
