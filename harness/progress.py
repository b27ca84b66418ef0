"""Progress output: one line that is overwritten on a terminal, a line a step elsewhere.

    say = LineProgress()
    say("fashion_cnn: prune: fine-tuning", 120, 400)
    say.close()

A slow step calls it with a text, the steps done and the steps in total (0: unknown).
"""

from __future__ import annotations

import contextlib
import sys
import time

import pytest

INTERVAL_S = 0.1


class LineProgress:
    """Progress on stderr; on a terminal the line is overwritten, elsewhere only a new text gets a line."""

    def __init__(self) -> None:
        self.moving = sys.stderr.isatty()
        self._last = ""
        self._next = 0.0

    def __call__(self, text: str, done: int, total: int) -> None:
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


class PytestProgress(LineProgress):
    """Progress in pytest's terminal, past its capture; silent in a worker of pytest-xdist, which has no terminal.

    It registers as a plugin of the session, so that its line ends before pytest writes the next result.
    """

    def __init__(self, config: pytest.Config) -> None:
        super().__init__()
        reporter = config.pluginmanager.getplugin("terminalreporter")
        self._reporter = None if hasattr(config, "workerinput") else reporter
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self.moving = self._reporter is not None and self._reporter.isatty
        config.pluginmanager.register(self, "hil-progress")

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
