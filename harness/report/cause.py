"""Causes of a changed figure, a line each: the fields that differ, and the shares that `hil bisect` found.

cause_lines("npu_cycles", before, after)     # ("vela 5.1.0 -> 5.2.0", "prune sparsity 0.5 -> 0.25")
share_lines(verdict.details["attribution"])  # ("vela_options: +1,190 cycles, 171 % of the change", ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.harness.comparison.comparison_table import format_change, format_number
from hil.harness.comparison.dependencies import influences, part_of
from hil.harness.report.content import Mark

_LONGEST = 300
"""Characters of a line."""


def cause_lines(figure: str, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Returns a line a field that differs and that the figure depends on."""
    return tuple(format_change(*one)[:_LONGEST] for one in influences(figure, before, after).items())


def marks(figure: str, run: int, before: Mapping[str, str], after: Mapping[str, str]) -> list[Mark]:
    """Returns a mark a part of the identity that differs and that the figure depends on."""
    texts: dict[str, list[str]] = {}
    for field, values in influences(figure, before, after).items():
        texts.setdefault(part_of(field), []).append(format_change(field, values))
    return [Mark(run, part, "; ".join(lines)[:_LONGEST]) for part, lines in texts.items()]


def share_lines(attribution: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a line a part with its share of the change, the largest first, and what no part explains."""
    unit, whole = str(attribution["unit"]), float(attribution["change"]) + float(attribution["unexplained"])
    parts = [(str(one["part"]), float(one["change"])) for one in attribution["shares"]]
    parts.sort(key=lambda part: -abs(part[1]))
    parts += [("together", float(attribution["rest"])), ("not explained", float(attribution["unexplained"]))]
    return tuple(_share(part, change, unit, whole) for part, change in parts if change)


def _share(part: str, change: float, unit: str, whole: float) -> str:
    percent = f", {100 * change / whole:.0f} % of the change" if whole else ""
    return f"{part}: {format_number(change, unit, '+')} {unit}{percent} (by exchange)"
