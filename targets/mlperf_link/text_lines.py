"""Text lines over a channel, with a limit on everything: a line's length, the wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hil.targets.link.channel import Channel
from hil.targets.link.transcript import Transcript
from hil.targets.mlperf_link.replies import Line

_LONGEST = 1 << 20
"""Characters of a line: the results of 65,536 outputs fit."""


class TextLines:
    """The lines that come from `channel`; what goes and comes is noted in `transcript`."""

    def __init__(self, channel: Channel, transcript: Transcript) -> None:
        self.channel = channel
        self.transcript = transcript
        self._left = bytearray()

    def send(self, text: str) -> None:
        """Sends a command; the channel raises `UnpluggedError` when the port is gone."""
        self.transcript.note(f"sent  {text}%")
        self.channel.send(f"{text}%".encode("ascii"))

    def until(self, end: float) -> Iterator[Line]:
        """Every line that is complete before `end` on the monotonic clock, or has come already."""
        over = False
        while True:
            while b"\n" in self._left:
                raw, _, rest = bytes(self._left).partition(b"\n")
                self._left[:] = rest
                line = Line(_printable(raw), time.monotonic())
                self.transcript.note(f"got   {line.text}")
                yield line
            if over:  # A board that never stops to talk does not get more time for it.
                return
            wait = max(0.0, end - time.monotonic())
            over = wait == 0.0
            self._left += self.channel.receive(wait)
            del self._left[:-_LONGEST]

    @property
    def begun(self) -> str:
        """The line that has begun, and did not end."""
        return self._left.decode("ascii", "replace")


def _printable(data: bytes) -> str:
    """Cleans a board's text for a terminal: without NUL, and `?` for all else that is no text."""
    text = data.replace(b"\0", b"").decode("ascii", "replace").strip()
    return "".join(char if char.isprintable() else "?" for char in text)
