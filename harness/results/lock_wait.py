"""Patience with a locked SQLite file: as long as its users make progress, and a limit where none does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 30.0
"""Seconds without any change of a locked database after which it counts as locked for good."""
LOOK_S = 1.0
"""Seconds that SQLite itself waits for a lock, in steps of up to a tenth, before its files are looked at."""

_PAUSE_S = 0.01
"""Seconds between attempts at what SQLite does not wait for by itself, such as another journal mode."""


class LockWait:
    """The wait of one transaction for `file`; a commit of another process changes one of SQLite's files.

    To be asked each time that SQLite has waited `LOOK_S` in vain.
    """

    def __init__(self, file: Path, patience_s: float) -> None:
        self._files = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-journal")]
        self._patience_s = patience_s
        self._state: Sequence[object] = ()
        self._since = 0.0

    def again(self) -> bool:
        """Returns whether to wait on, which is not when nobody made progress for the patience."""
        time.sleep(_PAUSE_S)
        if (state := [_state(file) for file in self._files]) != self._state:
            self._state, self._since = state, time.monotonic()
        return time.monotonic() - self._since < self._patience_s


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
