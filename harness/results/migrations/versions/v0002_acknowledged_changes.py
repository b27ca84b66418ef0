"""Adds acknowledged change points, and the session to each event of a board."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds a table and a column."""
    op.add_column("board_events", sa.Column("session", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "acknowledged",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("model", "path", "target", "figure")),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("acknowledged_by_run", "acknowledged", ["run_id"])
