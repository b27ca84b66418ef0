"""URLs of results databases: parsed, checked, and shown without a password.

No exception of SQLAlchemy's is chained to ours here: its text may quote the password of a URL that it cannot parse.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hil.core.errors import BadInputError

_FORMS = "nightly.db, sqlite:///nightly.db, or postgresql+psycopg://USER@HOST/DATABASE"
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_SQLITE = ("sqlite", "sqlite+pysqlite")
_SECRET = ("password", "sslpassword")


def parse_url(text: str) -> URL:
    """Parses a URL, or the path of an SQLite file; raises `BadInputError` for another database's."""
    if not re.match(r"\w[\w+.-]*://|(sqlite|postgres(ql)?)(\+\w+)?:", text):
        return _checked_file(URL.create("sqlite", database=str(Path(text).expanduser())))
    scheme = text.partition(":")[0]
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None:
        raise BadInputError(f"the results URL {scheme}:... cannot be parsed", hint=f"its form: {_FORMS}")
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in _SQLITE:
        return _checked_file(url.set(drivername="sqlite"))
    raise BadInputError(f"results cannot be written to {url.drivername}", hint=f"a results URL is {_FORMS}")


def shown_url(url: URL) -> str:
    """Returns the path of an SQLite file, or the URL of a server without its password."""
    if url.drivername == "sqlite":
        return str(url.database)
    return url.difference_update_query(_SECRET).render_as_string(hide_password=True)


def passwords_of(url: URL) -> list[str]:
    """Returns the passwords in a URL."""
    return [str(found) for found in (url.password, *(url.query.get(name) for name in _SECRET)) if found]


def file_of(url: URL) -> Path | None:
    """Returns the file of an SQLite database; None for a server."""
    if url.drivername != "sqlite":
        return None
    return Path(str(url.database).removeprefix("file:"))


def _checked_file(url: URL) -> URL:
    """Raises `BadInputError` for a database in memory, a folder, and a file in no folder."""
    if url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory":
        raise BadInputError("a results database in memory ends with its process", hint=f"a results URL is {_FORMS}")
    file = file_of(url)
    assert file is not None
    if file.is_dir():
        raise BadInputError(f"the results database {file} is a folder")
    if not file.parent.is_dir():
        raise BadInputError(f"the results database {file}: there is no folder {file.parent}")
    return url
