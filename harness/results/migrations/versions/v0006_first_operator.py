"""Adds to each failure the first operator that differs from the reference kernels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds a column."""
    op.add_column("failures", sa.Column("operator", sa.Text, nullable=False, server_default=""))
