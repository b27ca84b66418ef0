"""Why a run ends, and the limits of time that end one.

    limits = TimeLimits(line)
    limits.begin(); limits.goes_on()        # the CPU runs
    limits.stands_still()                   # the NPU or a register is served
    limits.reached()                        # an `End`, None before

While the NPU works, or a register is served, the CPU stands still, so simulated time is the time the CPU ran.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from enum import Enum
from types import FrameType

from hil.fvp.command_line.contract import CommandLine
from hil.fvp.command_line.options import CPU_HZ


class End(str, Enum):
    """Why a run ended."""

    UART = "a UART sent the sign to end"
    TIME_LIMIT = "the time limit on the host"
    SIM_LIMIT = "the limit of simulated time"
    CYCLE_LIMIT = "the limit of cycles"
    EXIT = "the firmware ended through semihosting"


class TimeUpError(Exception):
    """The time limit on the host was reached while the NPU worked."""


class TimeLimits:
    """The limits of one sample, which begins with `begin`; `total_seconds` is the simulated time of all samples."""

    def __init__(self, line: CommandLine) -> None:
        self._line = line
        self._started = 0.0
        self._resumed: float | None = None
        self._simulated = 0.0
        self._before = 0.0

    @property
    def running(self) -> bool:
        """True while the CPU runs."""
        return self._resumed is not None

    @property
    def elapsed(self) -> float:
        """Seconds on the host since the sample began."""
        return time.monotonic() - self._started

    @property
    def simulated(self) -> float:
        """Seconds that the CPU ran for this sample."""
        return self._simulated + (0.0 if self._resumed is None else time.monotonic() - self._resumed)

    @property
    def total_seconds(self) -> float:
        """Seconds that the CPU ran for all samples; what a sample did not run itself is counted once."""
        return self._before + self.simulated

    def begin(self, simulated: float = 0.0) -> None:
        """A sample begins, whose CPU has run for `simulated` seconds."""
        self._before += self.simulated - simulated
        self._simulated = simulated
        self._started = time.monotonic()

    def goes_on(self) -> None:
        """The CPU runs."""
        self._resumed = time.monotonic()

    def stands_still(self) -> None:
        """The CPU has stopped."""
        self._simulated = self.simulated
        self._resumed = None

    def reached(self) -> End | None:
        """The limit that is reached."""
        line = self._line
        if line.timelimit is not None and self.elapsed >= line.timelimit:
            return End.TIME_LIMIT
        if line.simlimit is not None and self.simulated >= line.simlimit:
            return End.SIM_LIMIT
        if line.cyclelimit is not None and self.simulated * CPU_HZ >= line.cyclelimit:
            return End.CYCLE_LIMIT
        return None

    @contextlib.contextmanager
    def guarding(self) -> Iterator[None]:
        """Raises `TimeUpError` in what the main thread computes meanwhile when the time on the host is up."""
        left = None if self._line.timelimit is None else max(self._line.timelimit - self.elapsed, 0.001)
        if left is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _time_is_up)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _time_is_up(sign: int, frame: FrameType | None) -> None:
    raise TimeUpError
