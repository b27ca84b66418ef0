"""Tables of models as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.harness.tables.columns import legend, tables_of
from hil.harness.tables.summary import ModelTable
from hil.harness.text_table import escape_markdown, format_markdown


def markdown(tables: Sequence[ModelTable], command: str) -> str:
    """Returns the page; `command` makes it again.  Ends with a newline."""
    head = ["# Tables", "", f"Made by this command, and by nothing else:\n\n```\n{command}\n```"]
    return "\n".join([*head, *(line for table in tables for line in _section(table))]) + "\n"


def _section(table: ModelTable) -> Iterator[str]:
    yield f"\n## {escape_markdown(table.model.name)}\n"
    yield f"{escape_markdown(table.caption)}\n"
    yield f"```\n{table.command}\n```"
    for part in tables_of(table):
        yield f"\n### {part.title}: {escape_markdown(table.model.name)}\n"
        yield format_markdown(part.columns, part.rows)
    yield ""
    yield "\n".join(f"- {escape_markdown(line)}" for line in legend(table))
