"""One run a port: a lock that ends with its process.

    with PortLock("/dev/ttyUSB0", patience_s=60):
        ...

The lock is of the port's real path (links such as /dev/serial/by-id are followed) or of its URL, in a folder of the
user's.  The system lets go of it when the process ends, however it ends.  Who holds it stands in a file beside, for
messages only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import platformdirs
from filelock import FileLock, Timeout

from hil.core.errors import InfrastructureError, InUseError

_LONGEST_NOTE = 4096
Say = Callable[[str], None]


def folder() -> Path:
    """Folder of the locks: `HIL_LOCKS`, or a folder of the user and this machine.

    It is no run folder (XDG_RUNTIME_DIR): a nightly job has none, or another one than a login session has.
    """
    given = os.environ.get("HIL_LOCKS")
    return Path(given) if given else platformdirs.user_state_path("ethosu-hil") / "ports" / platform.node()


class PortLock:
    """Holds `port` from the moment it is made until `release`.

    Waits at most `patience_s` seconds, and reports once by `say` whom it waits for.  Raises `InUseError` when that time
    is over, `InfrastructureError` if the folder cannot be written.
    """

    def __init__(self, port: str, patience_s: float = 0.0, say: Say | None = None) -> None:
        self.port = port
        self.key = key_of(port)
        file = folder() / self.key
        self._note = file.with_suffix(".holder")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(file.with_suffix(".lock"))
            self._acquire(patience_s, say)
        except OSError as error:
            raise InfrastructureError(f"no lock of {port} in {file.parent}: {error.strerror or error}") from None
        with contextlib.suppress(OSError):
            self._note.write_text(json.dumps({"pid": os.getpid(), "command": _command(), "since": time.time()}))

    def __enter__(self) -> PortLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Lets go of the port; does nothing the second time."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._note.unlink()
            self._lock.release()

    def _acquire(self, patience_s: float, say: Say | None) -> None:
        try:
            self._lock.acquire(blocking=False)
            return
        except Timeout:
            who = _holder(self._note)
        if say and patience_s > 0:
            say(f"{self.port} is held by {who}; waiting up to {patience_s:g} s")
        try:
            self._lock.acquire(timeout=max(0.0, patience_s), poll_interval=0.05)
        except Timeout:
            raise InUseError(
                f"{self.port} is held by {_holder(self._note)}, also after {patience_s:g} s",
                hint="one run a board: wait for it, or take another board",
            ) from None


def key_of(port: str) -> str:
    """A file's name for the port: readable, and different for different ports."""
    real = port.lower() if "://" in port else str(Path(port).resolve())
    readable = re.sub(r"[^A-Za-z0-9]+", "-", real).strip("-")[-60:]
    return f"{readable}-{hashlib.sha256(os.fsencode(real)).hexdigest()[:12]}"


def _holder(note: Path) -> str:
    """Describes the process that holds the port, from its note in the lock."""
    try:
        with note.open() as stream:
            told = json.loads(stream.read(_LONGEST_NOTE))
        command = "".join(char if char.isprintable() else "?" for char in str(told["command"]))
        since = time.strftime("%H:%M:%S", time.localtime(told["since"]))
        return f"process {int(told['pid'])} ({command[:120]}) since {since}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500]
