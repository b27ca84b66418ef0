"""SHA-256 of a file, read part by part: it may be larger than memory.

sha256_of(Path("cifar10_train.tar"))        # reads the file
sha256_once(Path("cifar10_train.tar"))      # reads it at most once in this process, and again after a change
"""

from __future__ import annotations

import functools
import hashlib
import time
from pathlib import Path
from typing import NamedTuple

_PART = 1 << 20
_SETTLED_NS = 5_000_000_000
_MOST_DIGESTS = 65_536


class FileState(NamedTuple):
    """Size in bytes, device, inode and times (ns since the epoch) of a file: a change of its content changes one."""

    size: int
    device: int
    inode: int
    modified: int
    changed: int

    @staticmethod
    def of(path: Path) -> FileState:
        """Reads the state of a file; raises `OSError` if there is none."""
        stat = path.stat()
        return FileState(stat.st_size, stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)

    @property
    def settled(self) -> bool:
        """False for a file that changed within the last seconds: a second change may not move its times."""
        return time.time_ns() - max(self.modified, self.changed) > _SETTLED_NS


def sha256_of(path: Path) -> str:
    """Returns the digest in hexadecimal; raises `OSError` if the file cannot be read."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            total.update(part)
    return total.hexdigest()


def sha256_once(path: Path) -> str:
    """As `sha256_of`; a file that this process has read, and whose state is the same, is not read again."""
    state = FileState.of(path)
    return _digest(path, state) if state.settled else sha256_of(path)


@functools.lru_cache(_MOST_DIGESTS)
def _digest(path: Path, state: FileState) -> str:
    return sha256_of(path)
