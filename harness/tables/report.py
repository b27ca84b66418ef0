"""Tables in the form that a file's suffix names, or for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hil.harness.tables.columns import legend, tables_of
from hil.harness.tables.markdown import markdown
from hil.harness.tables.page import page
from hil.harness.tables.record import record
from hil.harness.tables.summary import ModelTable
from hil.harness.text_table import format_table, wrap

FORMATS = (".md", ".html", ".json")


def render(tables: Sequence[ModelTable], command: str, suffix: str) -> str:
    """Returns the tables as `.md`, `.html` or `.json`; by any other suffix as text for a terminal."""
    if suffix == ".md":
        return markdown(tables, command)
    if suffix == ".html":
        return page(tables, command)
    if suffix == ".json":
        return json.dumps(record(tables, command), indent=1) + "\n"
    return "\n\n".join("\n".join(_lines(table)) for table in tables)


def _lines(table: ModelTable) -> list[str]:
    parts = [
        format_table(part.columns, part.rows, title=f"{table.model.name}: {part.title}") for part in tables_of(table)
    ]
    spaced = [line for part in parts for line in (part, "")]
    return [
        *wrap(table.caption),
        "",
        *spaced,
        *(line for text in legend(table) for line in wrap(text)),
        "",
        table.command,
    ]
