"""`hil results`: lists, shows, exports and prunes recorded runs, and names baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.harness.comparison.retrospect import Change
    from hil.harness.comparison.stored_runs import Calibration
    from hil.harness.results.records import StoredRun
    from hil.harness.results.results import Results
    from hil.harness.results.retention import Rule

app = typer.Typer(help="Results of recorded runs: figures, verdicts, failures, baselines.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="An id or its beginning, `latest`, or a baseline.")]


class Format(str, Enum):
    """Forms of an export."""

    JSON = "json"
    CSV = "csv"


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest N runs.")] = 20,
    model: Annotated[str, typer.Option(metavar="NAME", help="Only runs with a deployment of this model.")] = "",
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """List runs, the newest first."""
    from hil.harness.results.document import summary

    opened = arguments.open_recorded(results)
    found, names = opened.runs(limit, model), _baseline_names(opened)
    if as_json:
        print(json.dumps([{**summary(run), "baselines": names.get(run.id, [])} for run in found]))
    elif found:
        print(format_runs(found, names, opened.name))
    else:
        print(f"{opened.name}: no runs{f' of {model}' if model else ''}")


@app.command()
def show(run: RunName, results: arguments.ResultsUrl = None, as_json: arguments.Json = False) -> None:
    """Show a run: identity, figures, verdicts, failures."""
    from hil.harness.results.document import document

    opened = arguments.open_recorded(results)
    shown = document(opened, opened.run(run))
    print(json.dumps(shown) if as_json else format_run(shown))


@app.command()
def export(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, `latest`, baselines.")],
    form: Annotated[Format, typer.Option("--format", help="JSON has all, CSV a row a figure.")] = Format.JSON,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Else stdout.")] = None,
    results: arguments.ResultsUrl = None,
) -> None:
    """Write runs as JSON or CSV."""
    from hil.harness.output_file import check_output, write_output
    from hil.harness.results.document import document, table

    if output:
        check_output(output, "-o")
    opened = arguments.open_recorded(results)
    found = [opened.run(name) for name in dict.fromkeys(runs)]
    if form is Format.CSV:
        text = table(opened, found)
    else:
        text = json.dumps({"runs": [document(opened, run) for run in found]}) + "\n"
    if output:
        write_output(output, text.encode())
    else:
        print(text, end="")


@app.command()
def prune(
    older_than: Annotated[str | None, typer.Option(metavar="90d", help="Runs older than hours, days, weeks.")] = None,
    keep: Annotated[int | None, typer.Option(min=0, metavar="N", help="All runs but the newest N.")] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Runs that were killed a day ago or more.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Remove runs; a baseline stays."""
    from hil.harness.number_format import plural
    from hil.harness.results.document import summary

    rule = _rule(older_than, keep, unfinished)
    opened = arguments.open_recorded(results)
    gone = opened.prune(rule, dry_run=dry_run)
    if as_json:
        print(json.dumps({"removed": [summary(run) for run in gone], "dry_run": dry_run}))
        return
    if gone:
        print(format_runs(gone, {}, opened.name))
    runs = f"{len(gone):,} {plural('run', len(gone))}"
    print(f"{'would remove' if dry_run else 'removed'} {runs}, {sum(run.figures for run in gone):,} figures")


@app.command()
def baseline(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The baseline's name.")] = None,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run that it names from now on.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Forget the name; its run stays.")] = False,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """List the baselines, name a run, or forget a name."""
    from hil.core.errors import BadInputError

    if ((name is None) != (run is None) and not (name and delete)) or (delete and (run is not None or name is None)):
        raise BadInputError("a baseline takes NAME RUN, or NAME --delete")
    opened = arguments.open_recorded(results)
    if name is not None and delete:
        opened.delete_baseline(name)
    elif name is not None and run is not None:
        opened.set_baseline(name, opened.run(run).id)
    rows = [{"name": one.name, "run": one.run_id, "set": one.created.isoformat()} for one in opened.baselines()]
    table = _table(("baseline", "run", "set"), [tuple(row.values()) for row in rows])
    print(json.dumps(rows) if as_json else table or "no baselines")


@app.command()
def calibrate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run whose builds were measured again and again.")] = (
        "latest"
    ),
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Show the noise of measured figures: the pair (X % and N units) that no two runs of one build exceed."""
    from hil.harness.comparison.stored_runs import calibrations

    opened = arguments.open_recorded(results)
    found = calibrations(opened, opened.run(run).id)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    headings = ("deployment", "figure", "sessions", "noise")
    table = _table(headings, [(one.deployment, one.figure, str(one.sessions), format_noise(one)) for one in found])
    print(table or f"{run} has no measured figures: bytes and modelled cycles have no noise")


@app.command()
def changes(
    model: Annotated[str, typer.Option(metavar="NAME", help="Only deployments of this model.")] = "",
    acknowledge: Annotated[
        str | None, typer.Option(metavar="RUN", help="Mark the changes of this run as known; they are listed no more.")
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for --acknowledge.")] = "",
    known: Annotated[bool, typer.Option("--known", help="List the known ones, too.")] = False,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """List the nights from which on a figure stands at another level; in measured ones with ten nights beside each."""
    from hil.harness.comparison.retrospect import changes_in_retrospect
    from hil.harness.results.records import AcknowledgedRecord

    opened = arguments.open_recorded(results)
    found = changes_in_retrospect(opened, model)
    if acknowledge is not None:
        run_id = opened.run(acknowledge).id
        for one in found:
            if one.run_id == run_id:
                of = one.series
                opened.acknowledge(AcknowledgedRecord(of.model, of.path, of.target, of.figure, run_id, note))
        found = changes_in_retrospect(opened, model)
    shown = [one for one in found if known or not one.known]
    if as_json:
        print(json.dumps([{**asdict(one), "started": one.started.isoformat()} for one in shown]))
        return
    print(format_changes(shown) or "no change points")


def format_changes(found: Sequence[Change]) -> str:
    """Formats a row a change point, the newest first, with what differed from the night before."""
    from hil.harness.comparison.comparison_table import format_number

    rows = []
    for one in found:
        values = (format_number(value, one.unit) for value in (one.before, one.after))
        rows.append((one.run_id[:8], one.deployment, one.figure, *values, ", ".join(one.cause)))
    return _table(("night", "deployment", "figure", "before", "after", "changed"), rows)


def format_noise(found: Calibration) -> str:
    """Formats the pair, or how many sessions it takes."""
    from hil.harness.judgement.noise import FEWEST_SESSIONS

    if found.noise is None:
        return f"unknown below {FEWEST_SESSIONS} sessions of one build"
    return f"{100 * found.noise.relative:.2f} % and {found.noise.units:.4g} {found.unit}"


def format_runs(runs: Sequence[StoredRun], names: Mapping[str, Sequence[str]], title: str) -> str:
    """Formats a row a run."""
    from hil.harness.text_table import Column, Row, format_table

    columns = [Column("run"), Column("program"), Column("exit"), Column("deploy-\nments", number=True, rank=2)]
    columns += [Column("tests", number=True), Column("failures", number=True), Column("baseline", rank=1)]
    rows = []
    for run in runs:
        ended = "unfinished" if run.finished is None else str(run.exit_code)
        counts = (run.deployments, sum(run.tests.values()), run.failures)
        style = "yellow" if run.finished is None else "" if run.exit_code == 0 else "red"
        cells = (run.id, run.record.kind, ended, *(f"{count:,}" for count in counts), ", ".join(names.get(run.id, ())))
        rows.append(Row(cells, style))
    return format_table(columns, rows, title=title)


def format_run(run: Mapping[str, Any]) -> str:
    """Formats a run's document: what it was, then tables of its figures, verdicts and failures."""
    from hil.harness.text_table import wrap

    ended = f"{run['finished']}, exit code {run['exit_code']}" if run["finished"] else "unfinished"
    about = {"run": run["id"], "command": " ".join(run["command"]) or run["kind"], "host": run["host"]}
    about |= {"started": run["started"], "finished": ended}
    tests = ", ".join(f"{count} {outcome}" for outcome, count in sorted(run["counts"]["tests"].items()))
    about |= {"tests": tests} if tests else {}
    figures = [row for found in run["deployments"] for row in _figures(found)]
    parts = [
        "\n".join(line for name, value in about.items() for line in wrap(f"{name:<10}{value}", indent=" " * 10)),
        _table(("identity", ""), sorted(run["identity"].items())),
        _table(("deployment", "target", "figure", "value", "unit", "trust"), figures),
        _columns(("deployment", "target", "figure", "verdict", "message"), run["verdicts"]),
        _columns(("test", "board", "kind", "message"), run["failures"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _figures(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows of a deployment: its figures, and those that have no value, with the reason as their trust."""
    rows = [_figure(found, figure) for figure in found["figures"]]
    return rows + [(found["name"], found["target"], one["name"], "none", "", one["reason"]) for one in found["missing"]]


def _figure(found: Mapping[str, Any], figure: Mapping[str, Any]) -> tuple[str, ...]:
    value = figure["value"] if isinstance(figure["value"], str) else f"{figure['value']:,.15g}"
    repeated = f", {len(figure['repetitions'])} times" if figure["repetitions"] else ""
    return found["name"], found["target"], figure["name"], value, figure["unit"], figure["trust"] + repeated


def _columns(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(names, [tuple(str(row[name]) for name in names) for row in rows])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; empty without rows."""
    from hil.harness.text_table import Column, Row, format_table

    columns = [Column(heading, number=heading == "value") for heading in headings]
    return format_table(columns, [Row(row) for row in rows]) if rows else ""


def _baseline_names(opened: Results) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for one in opened.baselines():
        names.setdefault(one.run_id, []).append(one.name)
    return names


def _rule(older_than: str | None, keep: int | None, unfinished: bool) -> Rule:
    """The one rule that was given; raises `BadInputError` for none or several."""
    from hil.core.errors import BadInputError
    from hil.harness.results.retention import Rule

    given = {"--older-than": older_than is not None, "--keep": keep is not None, "--unfinished": unfinished}
    if sum(given.values()) != 1:
        raise BadInputError("one rule says what to remove", hint=", ".join([*given][:-1]) + f" or {[*given][-1]}")
    if older_than is None:
        return Rule(keep=keep, unfinished=unfinished)
    return Rule(older_than=arguments.parse_period(older_than, "--older-than"))
