"""Faults on a line: bytes flipped, dropped, duplicated, delayed or cut out."""

from __future__ import annotations

import random
from dataclasses import dataclass

_LONGEST_CUT = 32
_LONGEST_DELAY_S = 0.03
_BYTES_AN_EVENT = 0.3 + 0.4 + 0.15 + 0.1 + 0.05 * (1 + _LONGEST_CUT) / 2
"""Mean of the bytes that an event hits, by the weights in `Faults._event`."""


@dataclass
class Counts:
    """Counts of the faults in a line's bytes."""

    seen: int = 0
    hit: int = 0
    dropped: int = 0
    flipped: int = 0
    duplicated: int = 0
    delayed: int = 0
    cut: int = 0


class Faults:
    """Hits a share `rate` of the bytes: flips, drops, duplicates and delays one, or cuts out up to 32."""

    def __init__(self, rate: float, seed: str) -> None:
        self.counts = Counts()
        self._events = rate / _BYTES_AN_EVENT
        self._random = random.Random(seed)
        self._until = self._distance()

    def apply(self, data: bytes) -> list[tuple[bytes, float]]:
        """The pieces that come out, each with the seconds to wait after it."""
        self.counts.seen += len(data)
        pieces: list[tuple[bytes, float]] = []
        start = 0
        while self._until < len(data) - start:
            at = start + self._until
            middle, taken, wait = self._event(data[at:])
            pieces.append((data[start:at] + middle, wait))
            start = at + taken
            self._until = self._distance()
        self._until -= len(data) - start
        return [*pieces, (data[start:], 0.0)]

    def _event(self, data: bytes) -> tuple[bytes, int, float]:
        """One fault: output for the first bytes of `data`, their number, and the wait after them."""
        kind = self._random.choices(("drop", "flip", "duplicate", "delay", "cut"), (30, 40, 15, 10, 5))[0]
        first, taken, wait = data[:1], 1, 0.0
        if kind == "drop":
            first = b""
            self.counts.dropped += 1
        elif kind == "flip":
            first = bytes([first[0] ^ self._random.randrange(1, 256)])
            self.counts.flipped += 1
        elif kind == "duplicate":
            first += first
            self.counts.duplicated += 1
        elif kind == "delay":
            wait = self._random.uniform(0, _LONGEST_DELAY_S)
            self.counts.delayed += 1
        else:
            first, taken = b"", min(len(data), self._random.randint(1, _LONGEST_CUT))
            self.counts.cut += taken
        self.counts.hit += taken
        return first, taken, wait

    def _distance(self) -> int:
        """Bytes until the next event."""
        return int(self._random.expovariate(self._events)) if self._events else 1 << 62
