"""Figures of many nights, read by one statement a table: columns of numbers instead of a record a figure.

    nights = read_nights(connection, ["latency", "sram"], start=begin)
    nights.runs                       # the runs, the oldest first
    nights.figures[0].values          # float64 (n,), one a night that has the figure
    nights.figures[0].runs            # int (n,), their positions in nights.runs
    nights.figures[0].identities[3]   # the identity of the deployment in the night of position 3

A year of 840 deployments a night is two million figures: the identity of a deployment, most of what is read, is parsed
once for all nights in which it is the same text.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Text, cast, or_, select

from hil.core.arrays import Floats, Integers
from hil.core.measurement import Trust
from hil.harness.results import schema
from hil.harness.results.parsed_texts import ParsedTexts

PLACE = ("accelerator", "memory_mode", "board")
"""Fields of a deployment's identity that make another series."""
_BATCH = 500
"""Rows at a time: with more of them alive, the garbage collector takes a quarter of the time."""

Identity = Mapping[str, str]


@dataclass(frozen=True)
class NightRun:
    """A run without its figures; `finished` None: it did not come to its end."""

    id: str
    kind: str
    host: str
    identity: Identity
    started: datetime
    finished: datetime | None
    exit_code: int | None


@dataclass(frozen=True)
class NightlyFigure:
    """One figure of a deployment at one place: model, path and target, and the `PLACE`.

    `runs` are the positions of the n nights that have it, ascending, `values` the figure, both of shape (n,).
    `repetitions` are those of a measured figure, and `identities` those of the deployment, by position of the night.
    """

    model: str
    path: str
    target: str
    place: tuple[str, str, str]
    figure: str
    unit: str
    trust: str
    runs: Integers
    values: Floats
    repetitions: Mapping[int, tuple[float, ...]]
    identities: Mapping[int, Identity]

    @property
    def is_exact(self) -> bool:
        """Returns whether the figure has no noise: counted, modelled or simulated."""
        return self.trust != Trust.MEASURED.value


@dataclass(frozen=True)
class Nights:
    """Runs, the oldest first, and their figures by deployment, place and name."""

    runs: tuple[NightRun, ...]
    figures: tuple[NightlyFigure, ...]


def read_nights(
    connection: Connection,
    figures: Collection[str],
    *,
    start: datetime | None = None,
    until: datetime | None = None,
    also: Collection[str] = (),
    models: Collection[str] = (),
) -> Nights:
    """Reads figures by name of all runs from `start` to `until`, and of those with the ids `also`.

    Runs that did not finish are listed, but only those of `also` have figures.  With `models`, the figures of these.
    Infinite figures and repetitions, which no plot and no level has, are left out.
    """
    runs = schema.runs.c
    condition = or_(_between(start, until), runs.id.in_(also))
    found = _runs(connection, condition)
    positions = {run.id: position for position, run in enumerate(found)}
    finished = or_(runs.finished.is_not(None), runs.id.in_(also))
    chosen = select(runs.id).where(condition, finished).scalar_subquery()
    deployments = _deployments(connection, chosen, positions, models)
    columns: defaultdict[tuple[int, str, str, str], _Columns] = defaultdict(_Columns)
    for batch in _measurements(connection, chosen, figures):
        for deployment_id, name, unit, trust, value, repetitions in batch:
            if (at := deployments.of.get(deployment_id)) is not None and math.isfinite(value):
                column = columns[at[0], name, unit, trust]
                column.runs.append(at[1])
                column.values.append(float(value))
                if several := tuple(filter(math.isfinite, map(float, repetitions.split()))):
                    column.repetitions[at[1]] = several
    places = list(deployments.places)
    made = [
        _figure(places[place], described, known, deployments.identities[place])
        for (place, *described), known in columns.items()
    ]
    return Nights(found, tuple(sorted(made, key=lambda one: (one.model, one.path, one.target, one.place, one.figure))))


def _between(start: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    started = schema.runs.c.started
    bounds = [started >= start] if start is not None else []
    bounds += [started <= until] if until is not None else []
    return bounds[0] & bounds[-1] if bounds else started.is_not(None)


def _runs(connection: Connection, condition: ColumnElement[bool]) -> tuple[NightRun, ...]:
    names = NightRun.__dataclass_fields__
    statement = select(*(schema.runs.c[name] for name in names)).where(condition)
    return tuple(
        NightRun(*row) for row in connection.execute(statement.order_by(schema.runs.c.started, schema.runs.c.id))
    )


@dataclass
class _Deployments:
    """Deployments by id: (number of the series' place, position of the night); identities by place and night."""

    of: dict[str, tuple[int, int]] = field(default_factory=dict)
    places: dict[tuple[Any, ...], int] = field(default_factory=dict)
    identities: list[dict[int, Identity]] = field(default_factory=list)


def _deployments(
    connection: Connection, chosen: Any, positions: Mapping[str, int], models: Collection[str]
) -> _Deployments:
    table, found = schema.deployments.c, _Deployments()
    parsed = ParsedTexts()
    statement = select(table.id, table.run_id, table.model, table.path, table.target, cast(table.identity, Text))
    statement = statement.where(table.run_id.in_(chosen))
    if models:
        statement = statement.where(table.model.in_(models))
    for deployment_id, run_id, *names, text in itertools.chain.from_iterable(_batches(connection, statement)):
        identity = parsed[text]
        key = (*names, *(identity.get(field_name, "") for field_name in PLACE))
        place = found.places.setdefault(key, len(found.places))
        if place == len(found.identities):
            found.identities.append({})
        found.of[deployment_id] = (place, positions[run_id])
        found.identities[place][positions[run_id]] = identity
    return found


def _measurements(connection: Connection, chosen: Any, figures: Collection[str]) -> Iterator[Sequence[Any]]:
    table = schema.measurements.c
    columns = (table.deployment_id, table.name, table.unit, table.trust, table.value, table.repetitions)
    statement = select(*columns).where(table.run_id.in_(chosen), table.name.in_(figures), table.value.is_not(None))
    return _batches(connection, statement)


def _batches(connection: Connection, statement: Any) -> Iterator[Sequence[Any]]:
    """Rows in batches: all of a year at once would not fit the memory of a small machine."""
    return connection.execute(statement, execution_options={"yield_per": _BATCH}).partitions()


@dataclass
class _Columns:
    """Columns of one figure, in the order of the rows."""

    runs: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    repetitions: dict[int, tuple[float, ...]] = field(default_factory=dict)


def _figure(
    key: tuple[Any, ...], described: Sequence[str], found: _Columns, identities: Mapping[int, Identity]
) -> NightlyFigure:
    """The columns in the order of the nights; of a deployment that a night has twice, one."""
    model, path, target, accelerator, memory_mode, board = key
    figure, unit, trust = described
    place = (accelerator, memory_mode, board)
    runs, chosen = np.unique(np.frombuffer(found.runs, np.int64), return_index=True)
    values = np.frombuffer(found.values, np.float64)[chosen]
    described_by = (figure, unit, trust, runs, values, found.repetitions, identities)
    return NightlyFigure(model, path, target, place, *described_by)
