"""Formats of numbers for tables and lines.

>>> fixed([0.1193, 0.0836]), fixed([0.0019, 0.0016]), fixed([123.456])
(['0.1193', '0.0836'], ['0.00190', '0.00160'], ['123.456'])
>>> listed(["SRAM", "flash", "weights"])
'SRAM, flash and weights'
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


def listed(words: Sequence[str]) -> str:
    """Joins words by commas, the last two by "and"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
