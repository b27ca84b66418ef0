"""The schema of a results database, created or brought from an older revision to the newest.

Processes that open an old database at once take turns: SQLite by `BEGIN IMMEDIATE`, PostgreSQL by an advisory lock; the
second finds the schema new.  A database that is up to date is only read, so that it may be read-only.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from hil.core.errors import ResultsError
from hil.harness.results import schema
from hil.harness.results.database import Database

_ADVISORY_LOCK = 0x68696C  # "hil"


def upgrade(database: Database) -> None:
    """Creates or upgrades the schema; raises `ResultsError` for one that is newer or another program's."""
    if (found := database.read(revision)) == schema.REVISION:
        return
    if found is None and database.url.drivername == "sqlite":
        # Both stay in the file: room that was pruned goes back to the disk, and readers do not wait for writers, where
        # the file system can do that.
        database.without_transaction("PRAGMA auto_vacuum = FULL", "PRAGMA journal_mode = WAL")
    database.write(lambda connection: _upgrade(connection, database.name))


def revision(connection: Connection) -> str | None:
    """Returns the revision of the schema; None for a database without one."""
    if not inspect(connection).has_table(schema.VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar()
    return str(found) if found else None


def migrate(connection: Connection, target: str) -> None:
    """Brings the schema to the revision `target`, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "hil.harness.results:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _upgrade(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = revision(connection)
    if found == schema.REVISION:
        return
    if found is not None and found > schema.REVISION:
        raise ResultsError(
            f"results database {name}: its schema {found} is newer than this program's, {schema.REVISION}",
            hint="pip install --upgrade ethosu-hil",
        )
    if found is None and (theirs := sorted(set(inspect(connection).get_table_names()) & {*schema.metadata.tables})):
        raise ResultsError(
            f"results database {name}: it has another program's tables: {', '.join(theirs)}",
            hint="name a database of its own",
        )
    migrate(connection, schema.REVISION)
