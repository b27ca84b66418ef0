"""Adds the gates of each deployment, so that a run can be judged where its model files are not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds a column."""
    kind = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("deployments", sa.Column("gates", kind, nullable=False, server_default="{}"))
