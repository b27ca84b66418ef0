"""Tensors and copied constants by address, at one point of a command stream.

    >>> contents = Contents()
    >>> contents.put(Range(1, 0x4000, 512), "block/conv")
    >>> contents.labels(Range(1, 0x4000, 16))
    ('block/conv',)
    >>> contents.put(Range(1, 0x100, 80), "copy", origin=Range(0, 0x2710, 80))
    >>> contents.origin(Range(1, 0x120, 16)) == Range(0, 0x2730, 16)
    True

Vela allocates the same bytes of the arena to one tensor after another, so an address is named by the last write to it.
Weights and scales are often in the arena too, copied by a DMA from the read-only region.  A feature map counts as all
bytes from its first to its last.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from hil.npu.stream.operations import Range


@dataclass(frozen=True)
class Span:
    """A range of bytes with one label; `origin` is the source of the copy, None if they were computed."""

    place: Range
    label: str
    origin: Range | None = None

    def cut(self, low: int, high: int) -> Span:
        """Returns the part from address `low` to `high`."""
        part = Range(self.place.region, low, high - low)
        source = self.origin
        if source is not None:
            source = Range(source.region, source.address + low - self.place.address, high - low)
        return Span(part, self.label, source)


class Contents:
    """Labels of the bytes of all regions at one point of a stream.

    A region's spans do not overlap and are in order of address: a program of 65,000 operations has as many.
    """

    def __init__(self) -> None:
        self._spans: dict[int, list[Span]] = {}

    def put(self, place: Range, label: str, origin: Range | None = None) -> None:
        """Labels the bytes of `place`, replacing earlier labels."""
        spans = self._spans.setdefault(place.region, [])
        first, last = _touching(spans, place)
        before = [span.cut(span.place.address, place.address) for span in spans[first:last][:1]]
        behind = [span.cut(place.end, span.place.end) for span in spans[first:last][-1:]]
        found = [*before, Span(place, label, origin), *behind]
        spans[first:last] = [span for span in found if span.place.length > 0]

    def labels(self, place: Range) -> tuple[str, ...]:
        """Returns the labels in `place` in order of address, each once; empty if there are none."""
        spans = self._spans.get(place.region, [])
        first, last = _touching(spans, place)
        return tuple(dict.fromkeys(span.label for span in spans[first:last]))

    def origin(self, place: Range) -> Range | None:
        """Returns the range that all of `place` was copied from, None if it was not copied in one piece."""
        spans = self._spans.get(place.region, [])
        first, last = _touching(spans, place)
        if last - first != 1 or place.address < spans[first].place.address or spans[first].place.end < place.end:
            return None
        return spans[first].cut(place.address, place.end).origin


def _touching(spans: Sequence[Span], place: Range) -> tuple[int, int]:
    """The slice of `spans`, in order of address, that share a byte with `place`."""
    first = bisect_right(spans, place.address, key=lambda span: span.place.end)
    return first, bisect_left(spans, place.end, lo=first, key=lambda span: span.place.address)


def overlap(one: Range, other: Range) -> bool:
    """True if two ranges are in the same region and share a byte."""
    return one.region == other.region and one.address < other.end and other.address < one.end
