"""Retention: the runs that a rule removes.

The run of a baseline is never removed, nor the one that put a board into quarantine or took it out last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, select

from hil.harness.results import reader, schema
from hil.harness.results.database import Database
from hil.harness.results.records import StoredRun
from hil.harness.results.writer import now
from hil.targets.board_event import DECIDING

QUIET = timedelta(days=1)
"""Time without a finished test after which an unfinished run counts as killed, and not as still running."""


@dataclass(frozen=True)
class Rule:
    """Rule for runs to remove: those `older_than`, all but the newest `keep`, or `unfinished` ones; one of these."""

    older_than: timedelta | None = None
    keep: int | None = None
    unfinished: bool = False


def prune(database: Database, rule: Rule, *, dry_run: bool = False) -> tuple[StoredRun, ...]:
    """Removes the runs that a rule names, with all that belongs to them; returns them, the newest first.

    A run that becomes a baseline meanwhile stays: the runs are locked, which keeps further names from them, and then
    those that have one by now are left out.
    """
    condition = _condition(rule, now())

    def work(connection: Connection) -> tuple[StoredRun, ...]:
        if dry_run:
            return reader.runs(connection, where=condition)
        locked = set(connection.scalars(select(schema.runs.c.id).where(condition).with_for_update()))
        doomed = tuple(one for one in reader.runs(connection, where=condition) if one.id in locked)
        for one in doomed:
            connection.execute(delete(schema.runs).where(schema.runs.c.id == one.id))
        return doomed

    return database.read(work) if dry_run else database.write(work)


def _condition(rule: Rule, at: datetime) -> ColumnElement[bool]:
    runs, tests = schema.runs, schema.tests
    kept = runs.c.id.in_(select(schema.baselines.c.run_id)) | runs.c.id.in_(_deciding())
    if rule.keep is not None:
        newest = select(runs.c.id).order_by(runs.c.started.desc(), runs.c.id.desc()).limit(reader.bounded(rule.keep))
        return ~kept & runs.c.id.not_in(newest)
    if rule.older_than is not None:
        return ~kept & (runs.c.started < at - rule.older_than)
    ended = select(func.max(tests.c.ended)).where(tests.c.run_id == runs.c.id).scalar_subquery()
    quiet = func.coalesce(ended, runs.c.started) < at - QUIET
    return ~kept & runs.c.finished.is_(None) & quiet


def _deciding() -> Select[tuple[str]]:
    """The runs whose event decides the state of a board."""
    events, later = schema.board_events, schema.board_events.alias()
    is_newer = (later.c.name == events.c.name) & later.c.event.in_(DECIDING) & (later.c.at > events.c.at)
    return select(events.c.run_id).where(events.c.event.in_(DECIDING), ~exists().where(is_newer))
