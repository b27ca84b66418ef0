"""Summary of a run on the page of its GitHub Actions job: Markdown, appended to the file `GITHUB_STEP_SUMMARY`.

    append_tables(rows, left_out)         # a table for each model and accelerator
    append_comparison(found, "main")      # what is worse, better or without a verdict

Outside GitHub Actions nothing is written.  Names and reasons are escaped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hil.harness.text_table import escape_markdown, format_markdown

if TYPE_CHECKING:
    from hil.harness.comparison.comparison import Comparison
    from hil.harness.pytest_plugin.summary import TableRow

VARIABLE = "GITHUB_STEP_SUMMARY"


def append_tables(rows: Sequence[TableRow], left_out: Mapping[str, str]) -> None:
    """Appends the tables of the summary, and the left-out models."""
    from hil.harness.pytest_plugin.summary import summary_tables

    parts = []
    for of_model in summary_tables(rows) if os.environ.get(VARIABLE) else ():
        for table in of_model.tables:
            parts += [f"### {escape_markdown(table.title)}", format_markdown(table.columns, table.cells)]
        parts += map(escape_markdown, of_model.remarks)
    _append([*parts, *(escape_markdown(f"left out: {name}: {why}") for name, why in sorted(left_out.items()))])


def append_comparison(found: Comparison, baseline: str) -> None:
    """Appends the verdict against a baseline with the figures that are not the same."""
    from hil.harness.comparison.comparison_table import comparison_lines, comparison_rows

    head, *remarks = comparison_lines(found, "this run", baseline)
    rows = comparison_rows(found)
    table = [format_markdown(*rows)] if rows[1] else []
    _append([f"### {escape_markdown(head)}", *table, *map(escape_markdown, remarks)])


def _append(parts: Sequence[str]) -> None:
    path = os.environ.get(VARIABLE)
    if not path or not parts:
        return
    with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:  # the terminal has it all
        file.write("".join(f"{part}\n\n" for part in parts))
