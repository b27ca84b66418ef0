"""Creates the first schema: runs, deployments, measurements, verdicts, tests, failures, boards, baselines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Creates the tables, each before those that refer to it."""
    _create_runs()
    _create_figures()
    _create_events()
    op.create_table(
        "baselines",
        _text("name", primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("created", TIME, nullable=False),
    )
    op.create_index("baselines_by_run", "baselines", ["run_id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        _text("id", primary_key=True),
        _text("kind"),
        _text("host"),
        sa.Column("identity", JSON, nullable=False),
        sa.Column("command", JSON, nullable=False),
        sa.Column("started", TIME, nullable=False),
        sa.Column("finished", TIME),
        sa.Column("exit_code", sa.Integer),
    )
    op.create_index("runs_by_time", "runs", ["started", "id"])
    op.create_table(
        "tests",
        _run_id(primary_key=True),
        _text("nodeid", primary_key=True),
        _text("outcome"),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("ended", TIME, nullable=False),
    )


def _create_figures() -> None:
    op.create_table(
        "deployments",
        _text("id", primary_key=True),
        _run_id(),
        *(_text(name) for name in ("name", "model", "path", "target")),
        sa.Column("identity", JSON, nullable=False),
    )
    op.create_index("deployments_by_run", "deployments", ["run_id"])
    op.create_index("deployments_by_series", "deployments", ["model", "path", "target"])
    op.create_table(
        "measurements",
        sa.Column("deployment_id", sa.Text, sa.ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
        _text("name", primary_key=True),
        _text("run_id"),
        sa.Column("value", sa.Double),
        *(_text(name) for name in ("unit", "trust", "note", "repetitions")),
    )
    op.create_index("measurements_by_run", "measurements", ["run_id"])
    op.create_table(
        "verdicts",
        _run_id(primary_key=True),
        *(_text(name, primary_key=True) for name in ("deployment", "target", "figure", "against")),
        _text("verdict"),
        sa.Column("value", sa.Double),
        sa.Column("reference", sa.Double),
        *(_text(name) for name in ("unit", "rule", "message")),
        sa.Column("details", JSON, nullable=False),
    )


def _create_events() -> None:
    op.create_table(
        "failures",
        _text("id", primary_key=True),
        _run_id(),
        sa.Column("at", TIME, nullable=False),
        *(_text(name) for name in ("test", "deployment", "board", "kind")),
        sa.Column("infrastructure", sa.Boolean, nullable=False),
        *(_text(name) for name in ("message", "log")),
    )
    op.create_index("failures_by_run", "failures", ["run_id"])
    op.create_index("failures_by_board", "failures", ["board", "at"])
    op.create_table(
        "board_events",
        _text("id", primary_key=True),
        _run_id(),
        sa.Column("at", TIME, nullable=False),
        *(_text(name) for name in ("name", "serial", "event", "detail")),
    )
    op.create_index("board_events_by_run", "board_events", ["run_id"])
    op.create_index("board_events_by_board", "board_events", ["name", "at"])


def _text(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, primary_key=primary_key)


def _run_id(*, primary_key: bool = False) -> sa.Column[str]:
    of_run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    return sa.Column("run_id", sa.Text, of_run, nullable=False, primary_key=primary_key)
