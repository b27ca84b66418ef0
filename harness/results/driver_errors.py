"""Errors of SQLAlchemy and the drivers as one line that names the cause, without SQL, parameters or passwords."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import URL

from hil.core.errors import ResultsError
from hil.harness.results.address import shown_url
from hil.harness.results.location import hide_passwords

_HINTS = (
    ("file is not a database", "name another file"),
    ("malformed", "the file is damaged: restore it from a backup"),
    ("disk is full", "make room on that disk"),
    ("readonly database", "let the user of this run write the file and its folder"),
    ("unable to open", "let the user of this run write the file and its folder"),
    ("disk I/O error", "the disk fails or is full: see the system's log"),
    ("is locked", "another program has locked it and does nothing with it: end that one"),
    ("lock timeout", "another session has locked its tables: end that one"),
    ("password", "see ~/.pgpass, PGPASSWORD, or the password in the URL"),
    ("permission denied", "grant this role CREATE on the schema and all rights on its tables"),
    ("does not exist", "createdb makes a database, createuser a role"),
    ("Connection refused", "start the server, or correct host and port"),
    ("FOREIGN KEY", "the run is no longer there: it was pruned"),
    ("foreign key", "the run is no longer there: it was pruned"),
)
_BUSY = re.compile(r"database (table |schema )?is locked")
_REPLAYED = ("40001", "40P01")
"""PostgreSQL's serialization failure and deadlock: the transaction was undone and can be sent again."""


def results_error(error: BaseException, url: URL) -> ResultsError:
    """Returns the error of a database as ours."""
    text = _first_line(_original(error))
    hint = next((hint for part, hint in _HINTS if part in text), "")
    if url.password:
        text = text.replace(str(url.password), "***")
    return ResultsError(f"results database {shown_url(url)}: {hide_passwords(text)}", hint=hint)


def is_busy(error: BaseException) -> bool:
    """True for an SQLite database that another connection has locked."""
    return bool(_BUSY.search(str(_original(error))))


def can_replay(error: BaseException) -> bool:
    """True for a transaction on PostgreSQL that another one, or the loss of an old connection, has undone."""
    lost = bool(getattr(error, "connection_invalidated", False))
    return lost or getattr(_original(error), "sqlstate", None) in _REPLAYED


def _original(error: BaseException) -> Any:
    """The driver's own error: SQLAlchemy's text has the statement and its parameters."""
    return getattr(error, "orig", None) or error


def _first_line(error: Any) -> str:
    text = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
