"""Detection of a process that hangs, by its progress and not by the clock on the wall.

    watch = ProgressWatch(pid, Patience())
    watch.progressed()               # at each report of the process
    watch.why_hanging()              # "" or "computing for 300 s without progress"

A process makes progress when it reports some, and when it reads or writes a file.  Without, it and the processes that
it started may compute for `Patience.computing_s` seconds of processor time, or wait for `Patience.idle_s` seconds
without computing anything.  On a loaded machine processor time passes slowly, so nothing is ended for being slow; a
stopped process is not judged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

_IDLE_SHARE = 0.01
"""Share of a processor below which a process counts as waiting: Python's own threads wake now and then."""


@dataclass(frozen=True)
class Patience:
    """Seconds without progress after which a process hangs: of computing, and of waiting."""

    computing_s: float = 300.0
    idle_s: float = 180.0


class ProgressWatch:
    """The watch over one process and those that it started."""

    def __init__(self, pid: int, patience: Patience) -> None:
        self._process = psutil.Process(pid)
        self._patience = patience
        self._reported = False
        self._transferred = self._worked = -1.0
        self._restart(0.0)

    def progressed(self) -> None:
        """Notes a report of the process."""
        self._reported = True

    def why_hanging(self) -> str:
        """Returns the reason if the process hangs, else an empty text; to be asked every few seconds."""
        try:
            processes = list(self._processes())
            worked = sum(sum(process.cpu_times()[:2]) for process in processes)
            transferred = sum(_transferred(process) for process in processes)
            stopped = self._process.status() == psutil.STATUS_STOPPED
        except psutil.Error:  # it has ended, which the reader of its answers sees
            return ""
        if self._reported or transferred != self._transferred or stopped:
            self._reported, self._transferred = False, transferred
            self._restart(worked)
            return ""
        if worked - self._worked >= self._patience.computing_s:
            return f"computing for {self._patience.computing_s:g} s without progress"
        waited = time.monotonic() - self._waiting_since
        if worked - self._worked_then > _IDLE_SHARE * waited + 0.1:
            self._waiting_since, self._worked_then = time.monotonic(), worked
        elif waited >= self._patience.idle_s:
            return f"waiting for {self._patience.idle_s:g} s without computing anything"
        return ""

    def _restart(self, worked: float) -> None:
        self._worked = self._worked_then = worked
        self._waiting_since = time.monotonic()

    def _processes(self) -> Iterator[psutil.Process]:
        yield self._process
        yield from self._process.children(recursive=True)


def _transferred(process: psutil.Process) -> float:
    """Bytes that a process read and wrote; 0 where the system does not count them."""
    try:
        counters = process.io_counters()
    except (AttributeError, psutil.Error):  # no such counters on macOS
        return 0.0
    return float(getattr(counters, "read_chars", 0) + getattr(counters, "write_chars", 0))
