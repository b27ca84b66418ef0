"""A results database: its connection and its transactions.

A transaction is a function of a connection, which may be called again: after another process's lock on SQLite, a
deadlock on PostgreSQL, or a connection that had gone stale.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hil.core.errors import BadInputError, ResultsError
from hil.harness.results.address import file_of, shown_url
from hil.harness.results.driver_errors import can_replay, is_busy, results_error
from hil.harness.results.lock_wait import LOOK_S, PATIENCE_S, LockWait

T = TypeVar("T")
_REPLAYS = 5
_WRITES = "hil_writes"
_SERVER_OPTIONS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "hil",
}
"""A server that is gone is found within half a minute; a URL's own options come first."""


class Database:
    """A connection to a results database; `create` False: an SQLite file must exist.

    A lock that nobody gives up or makes progress with is an error after `patience_s` seconds.
    """

    def __init__(self, url: URL, *, create: bool = True, patience_s: float = PATIENCE_S) -> None:
        self.url = url
        self._file = file_of(url)
        self._patience_s = patience_s
        if self._file is not None and not create and not self._file.exists():
            raise BadInputError(f"there is no results database {self._file}")
        self._engine = _server_engine(url, patience_s) if self._file is None else _file_engine(url, self._file)

    @property
    def name(self) -> str:
        """Path or URL without its password."""
        return shown_url(self.url)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Runs a transaction that only reads, so that all its statements see one state.

        Raises `ResultsError` for a value that cannot be what its column holds, such as a broken JSON text.
        """
        try:
            return self._transact(work, writes=False)
        except ValueError as error:
            damage = f"results database {self.name}: a value in it is damaged: {error}"
            raise ResultsError(damage, hint="restore it from a backup") from error

    def write(self, work: Callable[[Connection], T]) -> T:
        """Runs a transaction that writes; all of it is there when this returns.  Raises `ResultsError`."""
        return self._transact(work, writes=True)

    def without_transaction(self, *statements: str) -> None:
        """Runs statements of SQLite that no transaction can hold."""

        def once() -> None:
            with self._engine.connect() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)

        self._attempt(once)

    def close(self) -> None:
        """Closes the connection."""
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        def once() -> T:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**self._options(writes))
                with connection.begin():
                    return work(connection)

        return self._attempt(once)

    def _options(self, writes: bool) -> dict[str, Any]:
        if self._file is not None:
            return {_WRITES: writes}
        return {} if writes else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def _attempt(self, once: Callable[[], T]) -> T:
        wait = LockWait(self._file, self._patience_s) if self._file is not None else None
        replays = 0
        while True:
            try:
                return once()
            except (DBAPIError, PoolTimeoutError) as error:  # others are defects of this program
                failed = results_error(error, self.url)
                if wait is not None and is_busy(error):
                    again = wait.again()
                else:
                    replays += 1
                    again = can_replay(error) and replays <= _REPLAYS
            if not again:
                raise failed


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; those whose keys are there are replaced."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def clean(value: Any) -> Any:
    """Returns a value whose texts both databases can store: without NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(one) for one in value]
    return value


def _file_engine(url: URL, file: Path) -> Engine:
    wal = file.with_name(file.name + "-wal")
    if file.exists() and not os.access(file, os.W_OK) and not wal.exists() and not url.query:
        # Nobody writes it: without this, SQLite makes files beside it even to read it.
        url = url.set(database=f"file:{quote(str(file))}", query={"immutable": "1", "mode": "ro", "uri": "true"})
    engine = sqlalchemy.create_engine(url, hide_parameters=True, connect_args={"timeout": LOOK_S})
    event.listen(engine, "connect", _connect_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server_engine(url: URL, patience_s: float) -> Engine:
    options = {name: value for name, value in _SERVER_OPTIONS.items() if name not in url.query}
    try:
        engine = sqlalchemy.create_engine(
            url, hide_parameters=True, connect_args=options, pool_pre_ping=True, pool_size=1, max_overflow=4
        )
    except ImportError:
        engine = None
    if engine is None:
        raise ResultsError(
            f"results database {shown_url(url)}: psycopg is not installed",
            hint='pip install "ethosu-hil[postgresql]" installs it',
        )

    @event.listens_for(engine, "connect")
    def limit_locks(connection: Any, record: Any) -> None:
        connection.execute(f"SET lock_timeout = {round(1000 * patience_s)}")
        connection.commit()

    return engine


def _connect_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # Python's module begins no transactions: `_begin_sqlite` does
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """Takes the lock at once where something is written: a lock that is upgraded later can end in a deadlock."""
    writes = connection.get_execution_options().get(_WRITES)
    if writes is not None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
