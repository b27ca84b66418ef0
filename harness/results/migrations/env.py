"""Alembic's entry: migrates the connection that `hil.harness.results.upgrade` hands over, in its transaction."""

from alembic import context

from hil.harness.results.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
