"""Adds the modelled cycles by layer of a deployment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds a table."""
    json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    op.create_table(
        "layers",
        sa.Column("deployment_id", sa.Text, sa.ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("layers", json, nullable=False),
        sa.Index("layers_by_run", "run_id"),
    )
