"""Waiting for a child process to say something, for as long as it makes progress and not by the clock on the wall."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hil.core.progress_watch import ProgressWatch

_LOOK_S = 1.0


class Readable(Protocol):
    """A stream or socket, by its descriptor."""

    def fileno(self) -> int: ...


def wait_for_output(stream: Readable, pid: int, patience_s: float) -> str:
    """Waits until `stream` can be read, or has ended; returns why process `pid` hangs, or an empty text.

    The process and those that it started may compute for `patience_s` seconds of processor time, whatever they read and
    write meanwhile, or wait for as long.
    """
    watch: ProgressWatch | None = None
    while not select.select([stream], [], [], _LOOK_S)[0]:
        watch = watch or _watch(pid, patience_s)
        if watch is not None and (why := watch.why_hanging()):
            return why
    return ""


def _watch(pid: int, patience_s: float) -> ProgressWatch | None:
    """The watch over a process; None if it has ended, as its stream will."""
    import psutil  # most answers come before it is needed

    from hil.core.progress_watch import ProgressWatch

    try:
        return ProgressWatch(pid, patience_s, strict=True)
    except psutil.Error:
        return None
