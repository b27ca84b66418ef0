"""`hil compare`: compares a run of the results database with a baseline, by the gates that the run was made with."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hil.harness.commands import arguments


def compare(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, latest, or the name of a baseline.")],
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The run to compare with, named the same ways.")],
    results: arguments.ResultsUrl = None,
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
    opened = arguments.open_recorded(results)
    runs = [opened.run(name) for name in (run, baseline)]
    ids = [one.id for one in runs]
    found = compare_stored(opened, *ids, vary=parts, finished=runs[0].finished is not None)
    if as_json:
        print(json.dumps(comparison_json(found, *ids, strict=strict)))
    else:
        print(format_comparison(found, run, baseline))
    raise typer.Exit(found.exit_code(strict=strict))
