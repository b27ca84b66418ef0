"""What a person sees while something takes long: one line that moves on a terminal, a line a step elsewhere.

say = PytestProgress(config)
say("fashion_cnn: prune: fine-tuning", 120, 400)
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

import pytest

INTERVAL_S = 0.1


class LineProgress:
    """Writes to a stream; on a terminal the line is overwritten, elsewhere only a new text gets a line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._last = ""
        self._next = 0.0

    def __call__(self, text: str, done: int, total: int) -> None:
        terminal = self.stream.isatty()
        if terminal and (time.monotonic() >= self._next or text != self._last):
            counted = f" {done}/{total}" if total else ""
            self._write(f"\r\033[K  {text}{counted}")
            self._next = time.monotonic() + INTERVAL_S
        elif not terminal and text != self._last:
            self._write(f"  {text}\n")
        self._last = text

    def close(self) -> None:
        """Leaves a terminal's line empty."""
        if self._last and self.stream.isatty():
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class PytestProgress(LineProgress):
    """The same past pytest's capture; silent in a worker of pytest-xdist, which has no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(sys.__stderr__)
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._silent = hasattr(config, "workerinput")

    def __call__(self, text: str, done: int, total: int) -> None:
        if not self._silent:
            super().__call__(text, done, total)

    def _write(self, text: str) -> None:
        if self._capture is None:
            super()._write(text)
            return
        with self._capture.global_and_fixture_disabled():
            super()._write(text)
