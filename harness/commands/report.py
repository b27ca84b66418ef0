"""`hil report`: writes what is worse, since when and because of what, as one page or as Markdown."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from hil.harness.commands import arguments


class Format(str, Enum):
    """Forms of a report."""

    HTML = "html"
    MARKDOWN = "markdown"


def report(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Else stdout, for Markdown alone.")
    ] = None,
    results: arguments.ResultsUrl = None,
    since: Annotated[
        str | None, typer.Option(metavar="90d", help="Trends of the hours, days or weeks before the run; else all.")
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(metavar="RUN", help="Compare with this run; else that of its verdicts, or the one before."),
    ] = "",
    run: Annotated[str, typer.Option(metavar="RUN", help="An id, latest, or the name of a baseline.")] = "latest",
    form: Annotated[
        Format | None, typer.Option("--format", help="One self-contained page, or Markdown; else by FILE's suffix.")
    ] = None,
) -> None:
    """Report what is worse, since when and because of what; trends, leaves, failures and boards."""
    from hil.core.errors import BadInputError
    from hil.harness.output_file import check_output, write_output
    from hil.harness.report.output import render, suffix_form
    from hil.harness.report.reader import read_content

    chosen = form.value if form else suffix_form(output) if output else Format.MARKDOWN.value
    if output is None and chosen == Format.HTML.value:
        raise BadInputError("a page is written to a file", hint="-o FILE.html")
    if output:
        check_output(output, "-o")
    period = arguments.parse_period(since, "--since") if since is not None else None
    opened = arguments.open_recorded(results)
    text = render(read_content(opened, run, baseline, period), chosen)
    if output:
        write_output(output, text.encode("utf-8", "replace"))
    else:
        print(text, end="")
