"""Detection of a process that hangs, by its progress and not by the clock on the wall.

    watch = ProgressWatch(pid, patience_s=300)
    watch.progressed()               # at each report of the process
    watch.why_hanging()              # "" or "computing for 300 s without progress"

A process makes progress when it reports some, and when it reads or writes a file.  Without, it and the processes that
it started may compute for the patience in seconds of processor time, or wait for as long without computing anything.
On a loaded machine processor time passes slowly, and a process that waits for a processor or a disk does not wait, so
nothing is ended for being slow; a stopped process is not judged.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

_IDLE_SHARE = 0.01
"""Share of a processor below which a process counts as waiting: Python's own threads wake now and then."""

_BUSY = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)


class ProgressWatch:
    """The watch over one process and those that it started; `patience_s` in seconds.

    With `strict`, only reports are progress, and a stopped process hangs.  A process that has ended does not hang.
    """

    def __init__(self, pid: int, patience_s: float, *, strict: bool = False) -> None:
        self._process: psutil.Process | None = None
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)
        self._patience_s = patience_s
        self._strict = strict
        self._reported = True  # the first look is where it begins
        self._transferred = -1.0
        self._worked = self._worked_then = 0.0
        self._waiting_since = time.monotonic()

    def progressed(self) -> None:
        """Notes a report of the process."""
        self._reported = True

    def why_hanging(self) -> str:
        """Returns the reason if the process hangs, else an empty text; to be asked every few seconds."""
        if self._process is None:
            return ""
        try:
            processes = [self._process, *self._process.children(recursive=True)]
            worked = sum(sum(process.cpu_times()[:2]) for process in processes)
            transferred = sum(_transferred(process) for process in processes) if not self._strict else -1.0
            states = [process.status() for process in processes]
            stopped = states[0] == psutil.STATUS_STOPPED and not self._strict
        except psutil.Error:  # it has ended, which the reader of its answers sees
            return ""
        if self._reported or transferred != self._transferred or stopped:
            self._reported, self._transferred = False, transferred
            self._worked = worked
            self._computes(worked)
            return ""
        if worked - self._worked >= self._patience_s:
            return f"computing for {self._patience_s:g} s without progress"
        waited = time.monotonic() - self._waiting_since
        if worked - self._worked_then > _IDLE_SHARE * waited + 0.1 or not set(_BUSY).isdisjoint(states):
            self._computes(worked)
        elif waited >= self._patience_s:
            return f"waiting for {self._patience_s:g} s without computing anything"
        return ""

    def _computes(self, worked: float) -> None:
        self._worked_then, self._waiting_since = worked, time.monotonic()


def _transferred(process: psutil.Process) -> float:
    """Bytes that a process read and wrote; 0 where the system does not count them."""
    try:
        counters = process.io_counters()
    except (AttributeError, psutil.Error):  # no such counters on macOS
        return 0.0
    return float(getattr(counters, "read_chars", 0) + getattr(counters, "write_chars", 0))
