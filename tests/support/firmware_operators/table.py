"""The table in docs/fvp.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.operators.case import TYPES
from tests.support.operators.outcome import Outcome

PAGE = Path(__file__).parents[3] / "docs" / "fvp.md"
BEGIN, END = "<!-- firmware operators: begin -->\n", "<!-- firmware operators: end -->\n"

Cells = Mapping[tuple[str, str], Sequence[Outcome]]


def rows(cells: Cells) -> list[str]:
    """One line an operator, one column a type."""
    lines = ["| operator | " + " | ".join(TYPES) + " |", "|---|" + "---|" * len(TYPES)]
    for operator in sorted({operator for operator, _ in cells}):
        found = [cell(cells.get((operator, dtype), ())) for dtype in TYPES]
        lines.append(f"| `{operator}` | " + " | ".join(found) + " |")
    return lines


def cell(measured: Sequence[Outcome]) -> str:
    """`=` and `≠ 2/6, ≤ 1` count the cases that ran; the others say why there is nothing to compare."""
    kinds = Counter(one.kind for one in measured)
    ran = kinds["equal"] + kinds["differs"]
    if not ran:
        return next((kind for kind in ("missing", "refused", "no reference") if kinds[kind]), "")
    said = f"= {ran}"
    if kinds["differs"]:
        said = f"**≠ {kinds['differs']}/{ran}, ≤ {max(one.largest for one in measured)}**"
    return said + (f", {kinds['refused']} refused" if kinds["refused"] else "")


def write(cells: Cells) -> None:
    """Puts the table where the page has its marks; raises `ValueError` if it has none."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} has no marks for the table")
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(rows(cells)) + "\n\n" + END + after)
