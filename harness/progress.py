"""Progress output: one line that is overwritten on a terminal, a line a step elsewhere.

    say = LineProgress()
    say("fashion_cnn: prune: fine-tuning", 120, 400)
    say.close()

A slow step calls it with a text, the steps done and the steps in total (0: unknown).
"""

from __future__ import annotations

import math
import sys
import time

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
