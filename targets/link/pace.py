"""Pace of a link: time limits of answers and sizes of frames.

Both are learned from the channel.  The time is what the bytes take at the baud rate plus a latency, smoothed with its
variation as TCP does it (RFC 6298): samples of frames that were sent once only, and doubled while nothing comes.  The
size doubles until a frame is lost, is halved at each loss and grows by an eighth with each frame that gets through:
where one byte in a hundred is hit it stays near its least, for of 4-KB frames there none would ever arrive.
"""

from __future__ import annotations

SMALLEST_CHUNK = 32
_FIRST_CHUNK = 256
_FIRST_LATENCY_S = 0.25
_LEAST_MARGIN_S = 0.02
_MARGIN_OF_LINE = 0.25
_MOST_BACKOFF = 8


class Pace:
    """Latency of answers, in seconds: what they take beyond their bytes and the board's work."""

    def __init__(self) -> None:
        self.latency = _FIRST_LATENCY_S
        self._variation = _FIRST_LATENCY_S / 2
        self._learned = False
        self._backoff = 1

    def limit(self, line_s: float) -> float:
        """Seconds to wait beyond the time at which an answer without latency would be there.

        Where a frame and its answer take the line for long, `line_s`, a needless repeat costs more than patience.
        """
        margin = max(_LEAST_MARGIN_S, 4 * self._variation) + _MARGIN_OF_LINE * line_s
        return (self.latency + margin) * self._backoff

    def answered(self, latency: float) -> None:
        """A request that was sent once was answered."""
        sample = max(0.0, latency)
        if self._learned:
            self._variation += (abs(sample - self.latency) - self._variation) / 4
            self.latency += (sample - self.latency) / 8
        else:
            self.latency, self._variation, self._learned = sample, sample / 2, True
        self._backoff = 1

    def missed(self) -> None:
        """Nothing came in time."""
        self._backoff = min(2 * self._backoff, _MOST_BACKOFF)


class ChunkSize:
    """Payload bytes a frame, between `SMALLEST_CHUNK` and `largest`."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._lossy = False
        self.size = min(_FIRST_CHUNK, largest)

    def survived(self, size: int) -> None:
        """A frame of `size` bytes got through; only one about as large as allowed says that more might."""
        if 2 * size >= self.size:
            grown = self.size + max(1, size // 8) if self._lossy else 2 * self.size
            self.size = min(self._largest, grown)

    def lost(self, size: int) -> None:
        """A frame of `size` bytes, or its answer, did not; of those sent before the last loss only the first counts."""
        self._lossy = True
        less = min(self.size, max(self.size - size // 2, size // 2))
        self.size = max(min(SMALLEST_CHUNK, self._largest), less)
