"""`hil compare`: compares a run of the results database with a baseline, by the gates that the run was made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.harness.results.results import Results

ResultsUrl = Annotated[
    str | None,
    typer.Option("--results", metavar="URL", help="Results database (HIL_RESULTS, or hil_results in the ini file)."),
]


def compare(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, latest, or the name of a baseline.")],
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The run to compare with, named the same ways.")],
    results: ResultsUrl = None,
    vary: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="Part of the identity that may differ; may be repeated.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where a gated figure has no verdict.")] = False,
    as_json: arguments.Json = False,
) -> None:
    """Compare a run with a baseline: worse, better, same or unknown, and what differs between the two."""
    from hil.harness.comparison.comparison_table import comparison_json, format_comparison
    from hil.harness.comparison.dependencies import check_parts
    from hil.harness.comparison.stored_runs import compare_stored

    parts = check_parts(vary or ())
    opened = open_existing(results)
    ids = [opened.run(name).id for name in (run, baseline)]
    found = compare_stored(opened, *ids, vary=parts)
    if as_json:
        print(json.dumps(comparison_json(found, *ids, strict=strict)))
    else:
        print(format_comparison(found, run, baseline))
    raise typer.Exit(found.exit_code(strict=strict))


def open_existing(url: str | None) -> Results:
    """Opens the results database that exists at `url`, `HIL_RESULTS` or the ini file's; else `BadInputError`."""
    from hil.core.errors import BadInputError
    from hil.harness.results import open_results
    from hil.harness.results.location import ini_results, results_url

    named = results_url(url, *ini_results(Path.cwd()))
    if named is None:
        raise BadInputError("no results database is named", hint="--results FILE.db, HIL_RESULTS, or the ini file")
    return open_results(named, create=False)
