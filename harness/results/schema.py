"""Tables of the results database, the same on SQLite and PostgreSQL.

`migrations` creates them, and the views for other programs; `REVISION` is the newest revision there, and a test holds
both together.  Keys are made by the client, so that a statement can be sent again without doubling a row.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB

REVISION = "0008"
VERSION_TABLE = "hil_schema"


class UtcTime(TypeDecorator[datetime]):
    """An aware time; SQLite, which has no time zones, gets UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(timezone.utc)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
metadata = MetaData()


def _run_id(**options: Any) -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, **options)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **options)


runs = Table(
    "runs",
    metadata,
    _text("id", primary_key=True),
    _text("kind"),
    _text("host"),
    Column("identity", Json, nullable=False),
    Column("command", Json, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime),
    Column("exit_code", Integer),
    Index("runs_by_time", "started", "id"),
)
deployments = Table(
    "deployments",
    metadata,
    _text("id", primary_key=True),
    _run_id(),
    _text("name"),
    _text("model"),
    _text("path"),
    _text("target"),
    Column("identity", Json, nullable=False),
    Column("gates", Json, nullable=False, server_default="{}"),
    Index("deployments_by_run", "run_id"),
    Index("deployments_by_series", "model", "path", "target"),
)
measurements = Table(
    "measurements",
    metadata,
    Column("deployment_id", Text, ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    _text("name", primary_key=True),
    _text("run_id"),  # its deployment's: a run's figures lie together, and are read without a join
    Column("value", Double),  # NULL: not a number, which SQLite cannot hold
    _text("unit"),
    _text("trust"),
    _text("note"),
    _text("repetitions"),  # numbers between spaces: a fifth of the time that JSON takes, and it may hold inf
    Index("measurements_by_run", "run_id"),
)
layers = Table(
    "layers",
    metadata,
    Column("deployment_id", Text, ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    _text("run_id"),  # its deployment's, as of a measurement
    Column("layers", Json, nullable=False),  # of one deployment, read and written as a whole
    Index("layers_by_run", "run_id"),
)
missing = Table(
    "missing_figures",
    metadata,
    Column("deployment_id", Text, ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    _text("run_id"),  # its deployment's, as of a measurement
    Column("figures", Json, nullable=False),  # of one deployment, read and written as a whole
    Index("missing_figures_by_run", "run_id"),
)
verdicts = Table(
    "verdict_records",  # `verdicts` is a view
    metadata,
    _run_id(primary_key=True),
    _text("deployment", primary_key=True),
    _text("target", primary_key=True),
    _text("figure", primary_key=True),
    _text("against", primary_key=True),
    _text("verdict"),
    Column("value", Double),
    Column("reference", Double),
    _text("unit"),
    _text("rule"),
    _text("message"),
    Column("details", Json, nullable=False),
)
tests = Table(
    "tests",
    metadata,
    _run_id(primary_key=True),
    _text("nodeid", primary_key=True),
    _text("outcome"),
    Column("seconds", Double, nullable=False),
    Column("ended", UtcTime, nullable=False),
)
failures = Table(
    "failures",
    metadata,
    _text("id", primary_key=True),
    _run_id(),
    Column("at", UtcTime, nullable=False),
    _text("test"),
    _text("deployment"),
    _text("board"),
    _text("kind"),
    Column("infrastructure", Boolean, nullable=False),
    _text("message"),
    _text("log"),
    _text("operator", server_default=""),
    Index("failures_by_run", "run_id"),
    Index("failures_by_board", "board", "at"),
)
board_events = Table(
    "board_events",
    metadata,
    _text("id", primary_key=True),
    _run_id(),
    Column("at", UtcTime, nullable=False),
    _text("name"),
    _text("serial"),
    _text("event"),
    _text("detail"),
    _text("session", server_default=""),
    Index("board_events_by_run", "run_id"),
    Index("board_events_by_board", "name", "at"),
)
baselines = Table(
    "baselines",
    metadata,
    _text("name", primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),  # no cascade: a baseline's run stays
    Column("created", UtcTime, nullable=False),
    Index("baselines_by_run", "run_id"),
)
acknowledged = Table(
    "acknowledged",
    metadata,
    _text("model", primary_key=True),
    _text("path", primary_key=True),
    _text("target", primary_key=True),
    _text("figure", primary_key=True),
    _run_id(primary_key=True),
    _text("note"),
    Column("at", UtcTime, nullable=False),
    Index("acknowledged_by_run", "run_id"),
)
