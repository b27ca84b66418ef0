"""URLs of results databases: parsed, checked, and shown without a password.

No exception of SQLAlchemy's is chained to ours here: its text may quote the password of a URL that it cannot parse.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hil.core.errors import BadInputError

_FORMS = "nightly.db, sqlite:///nightly.db, or postgresql://USER@HOST/DATABASE; in a password, %40 is @ and %2F is /"
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_SQLITE = ("sqlite", "sqlite+pysqlite")
_SHOWN = 60
"""Characters of a path that cannot be one that a message shows."""


def parse_url(text: str) -> URL:
    """Parses a URL, or the path of an SQLite file; raises `BadInputError` for another database's."""
    scheme = text.partition(":")[0]
    try:
        url = _parsed(text)
    finally:
        del text  # a traceback with local variables would show its password
    if url is None:
        raise BadInputError(f"the results URL {scheme}:... cannot be parsed", hint=f"its form: {_FORMS}")
    if url.drivername in _POSTGRESQL:
        password = url.query.get("password")  # as libpq takes it; SQLAlchemy hides the other
        url = url.set(password=str(password)).difference_update_query(["password"]) if password else url
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in _SQLITE:
        return _checked_file(url.set(drivername="sqlite"))
    raise BadInputError(f"results cannot be written to {url.drivername}", hint=f"a results URL is {_FORMS}")


def _parsed(text: str) -> URL | None:
    """The URL; None for what is none, such as one with an unquoted `@` in its password."""
    if not re.match(r"\w[\w+.-]*://|(file|sqlite|postgres(ql)?)(\+\w+)?:", text):
        return URL.create("sqlite", database=str(Path(text).expanduser()))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return None
    is_server = url.get_backend_name() != "sqlite"
    return None if is_server and "@" in f"{url.host}{url.database}" else url


def shown_url(url: URL) -> str:
    """Returns the path of an SQLite file, or the URL of a server without its password."""
    return str(url.database) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def file_of(url: URL) -> Path | None:
    """Returns the file of an SQLite database; None for a server."""
    if url.drivername != "sqlite":
        return None
    return Path(str(url.database).removeprefix("file:"))


def _checked_file(url: URL) -> URL:
    """Raises `BadInputError` for a database in memory, what is no file, and a file in no folder."""
    if url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory":
        raise BadInputError("a results database in memory ends with its process", hint=f"a results URL is {_FORMS}")
    if {"uri", "mode"} & url.query.keys() and not url.database.startswith("file:"):
        raise BadInputError("options of an SQLite file need its URI", hint="sqlite:///file:nightly.db?mode=ro&uri=true")
    file = file_of(url)
    assert file is not None
    try:
        kind = "a folder" if file.is_dir() else "no file" if file.exists() and not file.is_file() else ""
        has_folder = file.parent.is_dir()
    except (OSError, ValueError) as error:
        raise BadInputError(f"the results database {str(file)[:_SHOWN]}: {_reason(error)}") from None
    if kind:
        raise BadInputError(f"the results database {file} is {kind}")
    if not has_folder:
        raise BadInputError(f"the results database {file}: there is no folder {file.parent}")
    return url


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
