"""Reading: runs with their counts, figures, series, and what happened to boards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, Text, case, cast, func, select

from hil.core.errors import BadInputError
from hil.harness.results import schema
from hil.harness.results.parsed_texts import ParsedTexts
from hil.harness.results.records import (
    BOARD_CHECK,
    SELECTION,
    AcknowledgedRecord,
    Baseline,
    BoardRecord,
    DeploymentFigures,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    HistoryPoint,
    LayerRecord,
    MissingRecord,
    RunRecord,
    StoredEvent,
    StoredRun,
    TestRecord,
    VerdictRecord,
)

MOST_NAME = 100
"""Characters of the name of a baseline at most; an id is shorter."""
_SHOWN = 20
"""Characters of a longer name that a message shows."""
_NAMES = 5
"""Names that a hint lists."""
_RUN = "RUN is an id, latest or a baseline"
_MOST_ROWS = 2**31 - 1
"""Rows that a limit may ask for, on both databases."""
_FIGURE = tuple(
    schema.measurements.c[name] for name in ("deployment_id", "name", "value", "unit", "trust", "note", "repetitions")
)


def runs(
    connection: Connection, limit: int | None = None, model: str = "", where: ColumnElement[bool] | None = None
) -> tuple[StoredRun, ...]:
    """Returns runs, the newest first; with `model`, those that have a deployment of it."""
    newest_first = (schema.runs.c.started.desc(), schema.runs.c.id.desc())
    statement = select(schema.runs).order_by(*newest_first).limit(bounded(limit))
    if where is not None:
        statement = statement.where(where)
    if model:
        with_model = select(schema.deployments.c.run_id).where(schema.deployments.c.model == model)
        statement = statement.where(schema.runs.c.id.in_(with_model))
    return _with_counts(connection, statement)


def run(connection: Connection, name: str) -> StoredRun:
    """Returns the run of an id, a unique prefix of one, `latest`, or a baseline's name; else raises `BadInputError`."""
    if not name or len(name) > MOST_NAME:
        raise BadInputError(f"{name[:_SHOWN]!r}{'...' if name else ''} is no name of a run", hint=_RUN)
    if name == "latest":
        if newest := runs(connection, 1, where=schema.runs.c.kind != BOARD_CHECK):
            return newest[0]
        raise BadInputError("the results database has no runs")
    known = {one.name: one.run_id for one in baselines(connection)}
    statement = select(schema.runs.c.id).where(schema.runs.c.id.startswith(name, autoescape=True))
    ids = [known[name]] if name in known else list(connection.scalars(statement.limit(_NAMES)))
    found = _with_counts(connection, select(schema.runs).where(schema.runs.c.id.in_(ids)))
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInputError(f"{name} begins several runs: {', '.join(sorted(ids))}")
    raise BadInputError(f"no run {name}", hint=f"{_RUN}; {names_hint(baselines(connection))}")


def bounded(limit: int | None) -> int | None:
    """Returns a limit that both databases take."""
    return limit and min(limit, _MOST_ROWS)


def run_before(connection: Connection, run_id: str) -> str | None:
    """Returns the newest finished run before another that has a deployment in common with it; None for none.

    A run of all tests goes before one of some that the user chose.
    """
    runs, deployments, others = schema.runs.c, schema.deployments.c, schema.deployments.alias().c
    started = select(runs.started).where(runs.id == run_id).scalar_subquery()
    shared = select(others.id).where(
        others.run_id == run_id, others.name == deployments.name, others.target == deployments.target
    )
    has_shared = select(deployments.id).where(deployments.run_id == runs.id, shared.exists()).exists()
    statement = select(runs.id).where(runs.started < started, runs.finished.is_not(None), has_shared)
    is_selection = runs.identity[SELECTION].as_string().is_not(None)
    return connection.execute(statement.order_by(is_selection, runs.started.desc()).limit(1)).scalar()


def names_hint(known: Sequence[Baseline]) -> str:
    """Returns the names of baselines for a hint."""
    names = [one.name for one in known]
    return (
        f"baselines: {', '.join(names[:_NAMES])}{', ...' if len(names) > _NAMES else ''}" if names else "no baselines"
    )


def figures(connection: Connection, run_id: str) -> tuple[DeploymentFigures, ...]:
    """Returns the deployments of a run with their figures, those that are missing, and layers, by name."""
    of_run = schema.deployments.c.run_id == run_id
    order = (schema.deployments.c.name, schema.deployments.c.target, schema.deployments.c.id)
    found = connection.execute(select(schema.deployments).where(of_run).order_by(*order)).all()
    by_id: dict[str, dict[str, FigureRecord]] = {row.id: {} for row in found}
    statement = select(*_FIGURE).where(schema.measurements.c.run_id == run_id).order_by(schema.measurements.c.name)
    for deployment_id, *figure in connection.execute(statement).all():
        if deployment_id in by_id:  # else somebody deleted it by hand, which deletes nothing that belongs to it
            by_id[deployment_id][figure[0]] = _figure(*figure)
    layers, missing = _layers(connection, run_id), _missing(connection, run_id)
    return tuple(
        DeploymentFigures(
            row.id, _record(DeploymentRecord, row), by_id[row.id], layers.get(row.id, ()), missing.get(row.id, ())
        )
        for row in found
    )


def _layers(connection: Connection, run_id: str) -> dict[str, tuple[LayerRecord, ...]]:
    """Returns the layers by deployment of a run."""
    table = schema.layers.c
    rows = connection.execute(select(table.deployment_id, table.layers).where(table.run_id == run_id))
    return {row.deployment_id: tuple(LayerRecord(**layer) for layer in row.layers) for row in rows}


def _missing(connection: Connection, run_id: str) -> dict[str, tuple[MissingRecord, ...]]:
    """Returns the figures without a value by deployment of a run."""
    table = schema.missing.c
    rows = connection.execute(select(table.deployment_id, table.figures).where(table.run_id == run_id))
    return {row.deployment_id: tuple(MissingRecord(**figure) for figure in row.figures) for row in rows}


def history(
    connection: Connection, model: str, path: str, target: str, figure: str, limit: int | None = None
) -> tuple[HistoryPoint, ...]:
    """Returns a figure of all runs, or of the `limit` newest ones, the oldest first."""
    deployments, measurements = schema.deployments, schema.measurements
    joined = deployments.join(measurements).join(schema.runs)
    statement = (
        select(
            deployments.c.run_id,
            schema.runs.c.started,
            schema.runs.c.finished,
            cast(schema.runs.c.identity, Text),
            cast(deployments.c.identity, Text),
            *_FIGURE,
        )
        .select_from(joined)
        .where(deployments.c.model == model, deployments.c.path == path, deployments.c.target == target)
        .where(measurements.c.name == figure)
        .order_by(schema.runs.c.started.desc(), schema.runs.c.id.desc())
        .limit(bounded(limit))
    )
    parsed = ParsedTexts()
    points = [
        HistoryPoint(
            *(run_id, started, finished is not None, parsed[run_identity], deployment_id, parsed[identity]),
            _figure(*columns),
        )
        for run_id, started, finished, run_identity, identity, deployment_id, *columns in connection.execute(statement)
    ]
    return tuple(reversed(points))


def judged(connection: Connection, deployment: str, target: str, figure: str, verdict: str) -> frozenset[str]:
    """Returns the ids of the runs in which a figure got a verdict."""
    table = schema.verdicts.c
    of_figure = (table.deployment == deployment, table.target == target, table.figure == figure)
    found = connection.execute(select(table.run_id).where(*of_figure, table.verdict == verdict))
    return frozenset(row.run_id for row in found)


def verdicts(connection: Connection, run_id: str) -> tuple[VerdictRecord, ...]:
    """Returns the verdicts on the figures of a run."""
    table = schema.verdicts
    order = (table.c.deployment, table.c.target, table.c.figure, table.c.against)
    rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(*order))
    return tuple(_record(VerdictRecord, row) for row in rows)


def tests(connection: Connection, run_id: str) -> tuple[TestRecord, ...]:
    """Returns the finished tests of a run, by node id."""
    statement = select(schema.tests).where(schema.tests.c.run_id == run_id).order_by(schema.tests.c.nodeid)
    return tuple(_record(TestRecord, row) for row in connection.execute(statement))


def failures(connection: Connection, run_id: str) -> tuple[FailureRecord, ...]:
    """Returns the failures of a run in the order of their time."""
    table = schema.failures
    rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.at, table.c.id))
    return tuple(_record(FailureRecord, row) for row in rows)


def board_events(
    connection: Connection, board: str = "", run_id: str = "", *, failures: bool = True
) -> tuple[StoredEvent, ...]:
    """Returns the events of a board (or run, or all) in the order of their time, and with `failures` those of tests."""
    kinds: list[tuple[Table, type[BoardRecord | FailureRecord], Column[str]]] = [
        (schema.board_events, BoardRecord, schema.board_events.c.name),
        (schema.failures, FailureRecord, schema.failures.c.board),
    ]
    found = []
    for table, kind, name in kinds[: 2 if failures else 1]:
        statement = select(table).where(name == board if board else name != "")
        statement = statement.where(table.c.run_id == run_id) if run_id else statement
        found += [StoredEvent(row.run_id, row.at, _record(kind, row)) for row in connection.execute(statement)]
    return tuple(sorted(found, key=lambda event: event.at))


def baselines(connection: Connection) -> tuple[Baseline, ...]:
    """Returns the baselines by name."""
    rows = connection.execute(select(schema.baselines).order_by(schema.baselines.c.name))
    return tuple(_record(Baseline, row) for row in rows)


def acknowledged(connection: Connection) -> tuple[AcknowledgedRecord, ...]:
    """Returns the change points that were acknowledged, in the order of their time."""
    rows = connection.execute(select(schema.acknowledged).order_by(schema.acknowledged.c.at))
    return tuple(_record(AcknowledgedRecord, row) for row in rows)


def _with_counts(connection: Connection, statement: Select[Any]) -> tuple[StoredRun, ...]:
    """The runs of a statement with their counts, which cost one statement a table and not one a run."""
    found = connection.execute(statement).all()
    chosen = select(statement.subquery().c.id)
    counts = {name: _counted(connection, query) for name, query in _counts(chosen).items()}
    outcomes: dict[str, dict[str, int]] = {}
    table = schema.tests
    grouped = select(table.c.run_id, table.c.outcome, func.count()).where(table.c.run_id.in_(chosen))
    for run_id, outcome, number in connection.execute(grouped.group_by(table.c.run_id, table.c.outcome)):
        outcomes.setdefault(run_id, {})[outcome] = number
    return tuple(
        StoredRun(
            row.id,
            RunRecord(row.kind, row.identity, tuple(row.command), row.host),
            row.started,
            row.finished,
            row.exit_code,
            tests=outcomes.get(row.id, {}),
            **{name: counted.get(row.id, 0) for name, counted in counts.items()},
        )
        for row in found
    )


def _counts(chosen: Select[Any]) -> dict[str, Select[Any]]:
    failures = schema.failures.c
    infrastructure = func.sum(case((failures.infrastructure, 1), else_=0))
    return {
        "deployments": _by_run(schema.deployments.c.run_id, func.count(), chosen),
        "figures": _by_run(schema.measurements.c.run_id, func.count(), chosen),
        "failures": _by_run(failures.run_id, func.count(), chosen),
        "infrastructure": _by_run(failures.run_id, infrastructure, chosen),
    }


def _by_run(run_id: ColumnElement[str], counted: ColumnElement[int], chosen: Select[Any]) -> Any:
    statement: Any = select(run_id, counted).where(run_id.in_(chosen)).group_by(run_id)
    return statement


def _counted(connection: Connection, statement: Select[Any]) -> dict[str, int]:
    return {run_id: int(number) for run_id, number in connection.execute(statement)}


def _figure(name: str, value: float | None, unit: str, trust: str, note: str, repetitions: str) -> FigureRecord:
    """A figure of the columns of `_FIGURE` behind the first."""
    given = tuple(map(float, repetitions.split()))
    return FigureRecord(name, math.nan if value is None else float(value), unit, trust, given, note)


def _record(kind: Any, row: Row[Any]) -> Any:
    """The record whose fields are columns of a row."""
    columns = row._mapping
    return kind(**{name: columns[name] for name in kind.__dataclass_fields__ if name in columns})
