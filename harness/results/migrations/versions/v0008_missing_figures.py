"""Adds the figures of a deployment that were asked for and have no value."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds a table."""
    json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    op.create_table(
        "missing_figures",
        sa.Column("deployment_id", sa.Text, sa.ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("figures", json, nullable=False),
        sa.Index("missing_figures_by_run", "run_id"),
    )
