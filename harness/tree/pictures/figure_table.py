"""Heading, captions and table of the PNG as drawings; the HTML page has them as text."""

from __future__ import annotations

import textwrap

from hil.harness.drawing.canvas import CARD, GREEN, INK, LINE, RED, SOFT, TINT, Drawing, box, canvas, label
from hil.harness.evaluation.limit_check import format_limits
from hil.harness.tree.legend import legend
from hil.harness.tree.pictures import status
from hil.harness.tree.result import Walk
from hil.harness.tree.text_report import (
    HEADINGS,
    format_figures,
    format_status,
    summary,
    verdict_lines,
)

_LETTER, _ROW, _LINE = 7.3, 24, 18


def format_target(found: Walk) -> str:
    """Formats the target and the configuration of the NPU."""
    return ", ".join(found.identity[key] for key in ("target", "accelerator", "memory_mode", "system_config"))


def draw_heading(found: Walk, width: float) -> Drawing:
    """Draws the heading: model, target, limits and verdict."""
    made, axes = canvas(width, 92)
    label(axes, 16, 24, found.model, size=20, weight="bold", width=width - 32)
    label(
        axes,
        16,
        50,
        f"on {format_target(found)}: {format_limits(found.limits, found.scale)}; policy {found.policy}",
        color=SOFT,
        width=width - 32,
    )
    good = found.verdict.met
    line = f"{'✓' if good else '✗'} {verdict_lines(found)[0]}"
    label(axes, 16, 76, line, size=14, weight="bold", color=GREEN if good else RED, width=width - 32)
    return Drawing("heading", made, axes, line)


def draw_table(found: Walk, width: float) -> Drawing:
    """Draws the table of all leaves, with legend, mismatches and the winner's commands."""
    figures = zip(found.leaves, format_figures(found), strict=True)
    rows = [[leaf.name, format_status(found, leaf), *cells] for leaf, cells in figures]
    headings = ["leaf", "", *(heading.replace("\n", " ") for heading in HEADINGS)]
    letters = [min(24, max(len(row[n]) for row in [headings, *rows])) for n in range(len(headings))]
    spare = max(8.0, (width - 32 - 24 - _LETTER * sum(letters)) / len(letters))
    notes = [line for text in [*legend(found, headings), *verdict_lines(found)[1:]] for line in _wrapped(text, width)]
    height = 40 + _ROW * len(rows) + 14 + _LINE * len(notes) + 10
    made, axes = canvas(width, height)
    ends, x = [], 40.0
    for count in letters:
        x += _LETTER * count + spare
        ends.append(x - spare)
    for n, heading in enumerate(headings):
        label(axes, ends[n] if n > 1 else _left(ends, n, letters), 18, heading, size=11, color=SOFT, ha=_side(n))
    axes.plot([16, width - 16], [32, 32], color=LINE, lw=1)
    for place, (leaf, row) in enumerate(zip(found.leaves, rows, strict=True)):
        y = 40 + _ROW * (place + 0.5)
        wins = leaf.name == found.verdict.winner
        if wins or place % 2:
            fill = TINT if wins else CARD
            box(axes, 16, y - _ROW / 2, width - 32, _ROW, facecolor=fill, edgecolor="none", radius=0)
        label(axes, 24, y, status.sign(leaf), color=status.color(leaf), weight="bold")
        for n, text in enumerate(row):
            x = ends[n] if n > 1 else _left(ends, n, letters)
            ink = status.color(leaf) if n == 1 else INK
            label(axes, x, y, text, width=200, color=ink, ha=_side(n), weight="bold" if n == 0 else "normal")
    for place, line in enumerate(notes):
        label(axes, 16, 40 + _ROW * len(rows) + 22 + _LINE * place, line, size=11, color=SOFT)
    return Drawing("table", made, axes, "; ".join(f"{leaf.name}: {summary(leaf)}" for leaf in found.leaves))


def draw_caption(text: str, width: float) -> Drawing:
    """Draws the heading of a section; the text after its first full stop becomes an explanation in small letters."""
    made, axes = canvas(width, 44)
    head, _, rest = text.partition(". ")
    label(axes, 16, 24, head, size=15, weight="bold")
    label(axes, 16 + 9.6 * len(head) + 14, 25, rest, size=11, color=SOFT, width=width - 60 - 9.6 * len(head))
    return Drawing("caption", made, axes, text)


def _left(ends: list[float], column: int, letters: list[int]) -> float:
    return ends[column] - _LETTER * letters[column]


def _side(column: int) -> str:
    return "right" if column > 1 else "left"


def _wrapped(line: str, width: float) -> list[str]:
    return textwrap.wrap(line, int((width - 32) / 6.6), break_on_hyphens=False) or [""]
