"""Causes of a changed figure, a line each: the fields that differ, and the shares that `hil bisect` found.

Causes().lines("npu_cycles", before, after)  # ("vela 5.1.0 -> 5.2.0", "prune sparsity 0.5 -> 0.25")
share_lines(attribution)                     # ("vela_options: +1,190 cycles, 171 % of the change", ...)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hil.harness.comparison.comparison_table import format_change, format_number
from hil.harness.comparison.dependencies import changes, influences, part_of
from hil.harness.report.content import Mark
from hil.harness.results.nights import Identity

_LONGEST = 300
"""Characters of a line."""


class Causes:
    """Causes of changes between two identities, each pair compared once for all figures of a deployment."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Sequence[tuple[str, str]], Identity, Identity]] = {}

    def lines(self, figure: str, before: Identity, after: Identity) -> tuple[str, ...]:
        """Returns a line a field that differs and that the figure depends on."""
        parts = influences(figure)
        return tuple(line for part, line in self._differences(before, after) if part in parts)

    def marks(self, figure: str, run: int, before: Identity, after: Identity) -> list[Mark]:
        """Returns a mark a part of the identity that differs and that the figure depends on."""
        parts, texts = influences(figure), dict[str, list[str]]()
        for part, line in self._differences(before, after):
            if part in parts:
                texts.setdefault(part, []).append(line)
        return [Mark(run, part, "; ".join(lines)[:_LONGEST]) for part, lines in texts.items()]

    def _differences(self, before: Identity, after: Identity) -> Sequence[tuple[str, str]]:
        """A part and a line a field that differs."""
        key = id(before), id(after)
        if key not in self._known:
            found = [(part_of(one[0]), format_change(*one)[:_LONGEST]) for one in changes(before, after).items()]
            self._known[key] = (found, before, after)  # both stay, so that no other gets their ids
        return self._known[key][0]


def share_lines(attribution: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a line a part with its share of the change, the largest first, and what no part explains."""
    unit, whole = str(attribution["unit"]), float(attribution["change"]) + float(attribution["unexplained"])
    parts = [(str(one["part"]), float(one["change"]), bool(one.get("is_noise"))) for one in attribution["shares"]]
    parts.sort(key=lambda part: -abs(part[1]))
    rests = {"together": float(attribution["rest"]), "not explained": float(attribution["unexplained"])}
    parts += [(name, change, False) for name, change in rests.items()]
    return tuple(_share(*part, unit, whole) for part in parts if part[1])


def _share(part: str, change: float, is_noise: bool, unit: str, whole: float) -> str:
    percent = f", {100 * change / whole:.0f} % of the change" if whole else ""
    noise = ", within the noise" if is_noise else ""
    return f"{part}: {format_number(change, unit, '+')} {unit}{percent}{noise} (by exchange)"
