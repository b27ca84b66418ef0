"""Waiting for a child process to say something, for as long as it makes progress and not by the clock on the wall."""

from __future__ import annotations

import select
from typing import Protocol

_LOOK_S = 1.0


class Readable(Protocol):
    """A stream or socket, by its descriptor."""

    def fileno(self) -> int: ...


def wait_for_output(stream: Readable, pid: int, patience_s: float) -> str:
    """Waits until `stream` can be read, or has ended; returns why process `pid` hangs, or an empty text.

    The process and those that it started may compute for `patience_s` seconds of processor time, whatever they read and
    write meanwhile, or wait for as long.
    """
    if select.select([stream], [], [], _LOOK_S)[0]:  # most answers come before psutil is needed
        return ""
    from hil.core.progress_watch import ProgressWatch

    watch = ProgressWatch(pid, patience_s, strict=True)
    while not (why := watch.why_hanging()) and not select.select([stream], [], [], _LOOK_S)[0]:
        pass
    return why
