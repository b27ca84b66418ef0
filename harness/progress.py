"""Progress output: one line that is overwritten on a terminal, a line a step elsewhere.

    say = LineProgress()
    say("fashion_cnn: prune: fine-tuning", 120, 400)
    say.close()

A slow step calls it with a text, the steps done and the steps in total (0: unknown).
"""

from __future__ import annotations

import contextlib
import math
import sys
import time

import pytest

from hil.harness.plain_text import plain_text

INTERVAL_S = 0.1


class LineProgress:
    """Progress on stderr; on a terminal the line is overwritten, elsewhere only a new text gets a line."""

    def __init__(self) -> None:
        self.moving = sys.stderr.isatty()
        self._last = ""
        self._next = 0.0

    def __call__(self, text: str, done: int, total: int) -> None:
        text = " ".join(plain_text(text).split())  # it has names from model files and databases
        counted = f" {done}/{total}" if total else ""
        if not self.moving and text != self._last:
            self._write(f"  {text}\n")
        elif self.moving and (time.monotonic() >= self._next or text != self._last):
            self._write(f"\r\033[K  {text}{counted}")
            self._next = time.monotonic() + INTERVAL_S
        self._last = text

    def close(self) -> None:
        """Clears the line on a terminal."""
        if self._last and self.moving:
            self._write("\r\033[K")
        self._last = ""

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Formats a time in its largest unit, rounded up.

    >>> [duration(seconds) for seconds in (0.2, 59.5, 61, 7201)]
    ['1 s', '60 s', '2 min', '3 h']
    """
    size, unit = (1, "s") if seconds <= 60 else (60, "min") if seconds <= 3600 else (3600, "h")
    return f"{max(1, math.ceil(seconds / size))} {unit}"


class PytestProgress(LineProgress):
    """Progress in pytest's terminal, past its capture; silent in a worker of pytest-xdist, which has no terminal.

    Each line begins with the tests that are done, of `tests`, and the time that the others take at the same pace.
    It registers as a plugin of the session, so that its line ends before pytest writes the next result.
    """

    def __init__(self, config: pytest.Config, tests: int) -> None:
        super().__init__()
        reporter = config.pluginmanager.getplugin("terminalreporter")
        self._reporter = None if hasattr(config, "workerinput") else reporter
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self.moving = self._reporter is not None and self._reporter.isatty
        self._tests, self._finished, self._began = tests, 0, time.monotonic()
        self._left = ""
        config.pluginmanager.register(self, "hil-progress")

    def __call__(self, text: str, done: int, total: int) -> None:
        super().__call__(f"{self._left}{text}", done, total)

    def pytest_runtest_logfinish(self) -> None:
        self._finished += 1
        seconds = (time.monotonic() - self._began) / self._finished * (self._tests - self._finished)
        self._left = f"[{self._finished}/{self._tests} tests, about {duration(seconds)} left] "

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self) -> None:
        self.close()

    def _write(self, text: str) -> None:
        if self._reporter is None:
            return
        past_capture = self._capture.global_and_fixture_disabled() if self._capture else contextlib.nullcontext()
        with past_capture:
            if not self._last:
                self._reporter.ensure_newline()
            self._reporter.write(text, flush=True)
