"""A PostgreSQL server of the tests' own: on a private Unix socket, with a password, gone when its starter is.

with server() as postgresql:
    url = postgresql.new_schema()       # postgresql+psycopg://hil:PASSWORD@/postgres?host=/tmp/...
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.core.process_folder import process_folder

ROLE = "hil"
PASSWORD = "pass:w@rd/5%"
QUOTED = "pass%3Aw%40rd%2F5%25"
"""The password as it stands in a URL."""
_SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=100")


@dataclass
class Server:
    """A running server, by its folder, which holds its data and its socket."""

    folder: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, password: str = QUOTED, role: str = ROLE) -> str:
        """URL of a database."""
        return f"postgresql+psycopg://{role}:{password}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Makes an empty database; returns its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_schema(self) -> str:
        """Makes an empty schema, which takes the place of a database, as its URL says, and a hundredth of its files."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs one statement as the server's owner."""
        with self.connect(database) as connection:
            connection.execute(statement)

    def connect(self, database: str) -> Any:
        """Returns a connection in which each statement is a transaction."""
        import psycopg

        return psycopg.connect(host=str(self.folder), user=ROLE, password=PASSWORD, dbname=database, autocommit=True)

    def stop(self) -> None:
        """Ends the server at once, as a machine that is switched off."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(600)

    def start(self) -> None:
        """Starts a server that was stopped."""
        self.process = _start(self.folder)
        self._wait()

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + 600
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None without them."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@contextmanager
def server() -> Iterator[Server]:
    """A server with a new cluster; it is ended with the block, and by the kernel if this process is killed.

    Its folder is in that of this process, which the next process removes after a kill.
    """
    process_folder().chmod(0o711)  # the server's user passes through
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=process_folder()))  # a socket's name has at most 107 characters
    try:
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            os.chown(path, *_owner())
        initdb = [str(_program("initdb")), "-D", str(folder / "data"), "-U", ROLE, "-A", "scram-sha-256"]
        initdb += ["--pwfile", str(folder / "password"), "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8"]
        subprocess.run([*_as_owner(), *initdb], check=True, capture_output=True, cwd=folder)
        running = Server(folder, _start(folder))
        try:
            running._wait()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    settings = [*_SETTINGS, f"unix_socket_directories={folder}"]
    command = [
        str(_program("postgres")),
        "-D",
        str(folder / "data"),
        *(part for one in settings for part in ("-c", one)),
    ]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([*_as_owner(), "--pdeathsig", "QUIT", *command], cwd=folder, stdout=log, stderr=log)


def _program(name: str) -> Path:
    folder = programs()
    assert folder is not None, "PostgreSQL is not installed"
    return folder / name


def _as_owner() -> Sequence[str]:
    """The command that starts a program as the cluster's owner: PostgreSQL runs as any user but root."""
    if os.getuid() != 0:
        return ["setpriv"]
    user, group = _owner()
    return ["setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups"]


def _owner() -> tuple[int, int]:
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise AssertionError("this system has neither a user postgres nor nobody")
