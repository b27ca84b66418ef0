"""Log of a UART, sample by sample, in bounded memory: firmware may print without end.

    logs = Logs(samples=4)
    logs.take(b"INFO - ..."); logs.texts()      # a text for each sample that has begun

Of a sample that sent more than `MOST_BYTES`, the start and the end are kept, where firmware says what it is and how it
fared, and a line between them says how much is missing.
"""

from __future__ import annotations

from hil.fvp.machine.uart import EOT

MOST_BYTES = 8 << 20
"""Most bytes of a sample's log; Arm's runner sends a few thousand."""


class Logs:
    """The logs of `samples` samples, with an EOT between them; with one sample an EOT is a byte like any other."""

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._logs = [_Log()]

    def take(self, data: bytes) -> None:
        """Takes what came."""
        pieces = data.split(bytes([EOT])) if self._samples > 1 else [data]
        self._logs[-1].take(pieces[0])
        for piece in pieces[1:]:
            if len(self._logs) <= self._samples:  # One too many is kept, for it to be noticed.
                self._logs.append(_Log())
            self._logs[-1].take(piece)

    @property
    def complete(self) -> int:
        """Number of samples that have ended."""
        return len(self._logs) - 1

    def texts(self) -> list[str]:
        """The log of each sample that has begun."""
        return [log.text() for log in self._logs]


class _Log:
    def __init__(self) -> None:
        self._start, self._end, self._missing = bytearray(), bytearray(), 0

    def take(self, data: bytes) -> None:
        room = MOST_BYTES // 2 - len(self._start)
        self._start += data[:room]
        self._end += data[room:]
        if len(self._end) > MOST_BYTES:
            missing = len(self._end) - MOST_BYTES // 2
            del self._end[:missing]
            self._missing += missing

    def text(self) -> str:
        between = f"\n[{self._missing} bytes are not kept]\n" if self._missing else ""
        return self._start.decode(errors="replace") + between + self._end.decode(errors="replace")
