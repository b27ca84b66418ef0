"""The temporary folder of this process, which ends with it, however it ends.

    folder = process_folder()         # made at the first call

A process removes its folder when it ends.  One that is killed by SIGKILL cannot: the next process that makes a folder
beside removes it.  A lock on the folder says that its process is alive; the system lets go of it with the process.  It
holds across containers that share a temporary folder, where a process id would not.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "hil-temporary-"
_NAME = re.compile(_PREFIX + "[a-z0-9_]{8}")


@dataclass(frozen=True)
class _LockedFolder:
    path: Path
    descriptor: int


class _Owner:
    """The folder of this process, once it is made."""

    def __init__(self) -> None:
        self._folder: _LockedFolder | None = None
        self._lock = threading.RLock()  # a handler of signals may remove the folder at any time

    def folder(self) -> Path:
        with self._lock:
            if self._folder is None or not self._folder.path.is_dir():
                self.remove()
                beside = Path(tempfile.gettempdir())
                self._folder = _make(beside)
                _sweep(beside)
            return self._folder.path

    def remove(self) -> None:
        with self._lock:
            folder, self._folder = self._folder, None
            if folder is not None:
                shutil.rmtree(folder.path, ignore_errors=True)
                os.close(folder.descriptor)

    def forget(self) -> None:
        """In a forked process: the folder is the parent's."""
        folder, self._folder = self._folder, None
        self._lock = threading.RLock()
        if folder is not None:
            os.close(folder.descriptor)


_owner = _Owner()


def process_folder() -> Path:
    """Returns the temporary folder of this process, anew if somebody has removed it."""
    return _owner.folder()


def remove_process_folder() -> None:
    """Removes the folder of this process if it has one."""
    _owner.remove()


def _make(beside: Path) -> _LockedFolder:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
        with suppress(FileNotFoundError):  # another process took it for a dead one's before it was locked
            descriptor = _open(path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.is_dir():
                return _LockedFolder(path, descriptor)
            os.close(descriptor)


def _sweep(beside: Path) -> None:
    """Removes the folders of processes that were killed."""
    with os.scandir(beside) as entries:
        found = [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
    for path in found:
        with suppress(OSError):  # its process is alive, or another one removes it, or it is another user's
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


atexit.register(remove_process_folder)
os.register_at_fork(after_in_child=_owner.forget)
