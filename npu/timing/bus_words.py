"""Beats and bursts of the blocks of a feature map, counted by where its runs of adjacent bytes begin in a burst.

    layout = Layout.of(ofm, brick=16)
    beats, bursts = bus_words(layout, rows, columns, channels, beat_bytes=8)

A run takes a beat for each bus word and a burst for each 64 bytes that it touches, which depends on its length and on
its address modulo 64 alone.  Rows, columns and bricks lie at equal distances, so these *places* come again after at
most 64 steps, and the runs at each place are counted, not visited.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from hil.npu.stream.feature_map import BRICK, FeatureMap

BURST_BYTES = 64
"""Longest burst, and the alignment at which longer ones are split: MAX_BEATS of AXI_LIMIT as Arm's driver sets it."""

REMEMBERED = 1 << 12
"""Results of a pure function that are kept: the layers of a network repeat each other's shapes."""


class Steps(NamedTuple):
    """`number` parts of `length` along an axis, the first from `first`, each `step` behind the one before."""

    first: int
    length: int
    step: int
    number: int

    @property
    def starts(self) -> list[int]:
        """Start of each part."""
        return [self.first + part * self.step for part in range(self.number)]


Spans = tuple[Steps, ...]
"""Parts of an axis."""


class Layout(NamedTuple):
    """Places of a feature map's bytes: its left tiles (first row, row behind the last, place of the address in a
    burst), its strides, bytes of an element, and channels that count for a brick (0: no bricks)."""

    tiles: tuple[tuple[int, int, int], ...]
    strides: tuple[int, int, int]
    size: int
    brick: int

    @classmethod
    def of(cls, feature_map: FeatureMap, brick: int) -> Layout:
        """Layout of `feature_map`, of whose bricks `brick` channels count."""
        left = (tile for tile in feature_map.tiles if tile.left == 0)
        tiles = tuple((tile.top, tile.bottom, tile.address % BURST_BYTES) for tile in left)
        return cls(tiles, feature_map.strides, feature_map.dtype.itemsize, brick if feature_map.bricks else 0)


Places = dict[int, int]
"""Places in a burst (addresses modulo `BURST_BYTES`), and how often each occurs; beats and bursts follow from these."""


@lru_cache(REMEMBERED)
def bus_words(layout: Layout, rows: Spans, columns: Spans, channels: Spans, beat_bytes: int) -> tuple[int, int]:
    """Beats and bursts of all blocks of a feature map: the product of the parts of the three axes."""
    starts = _row_starts(layout, rows)
    beats = bursts = 0
    for offsets, length in _runs(layout, columns, channels):
        for place, times in _sums(starts, offsets).items():
            beats += (place % beat_bytes + length + beat_bytes - 1) // beat_bytes * times
            bursts += (place + length + BURST_BYTES - 1) // BURST_BYTES * times
    return beats, bursts


def _progression(first: int, step: int, count: int) -> Places:
    """Places of `count` addresses from `first` on, `step` apart."""
    period = BURST_BYTES // math.gcd(step, BURST_BYTES)  # after which the places come again
    rounds, rest = divmod(count, period)
    return {
        (first + number * step) % BURST_BYTES: rounds + (number < rest) for number in range(period if rounds else rest)
    }


def _sums(places: Places, offsets: Places) -> Places:
    """Places of all sums of one of `places` and one of `offsets`."""
    found: Places = {}
    for place, times in places.items():
        for offset, often in offsets.items():
            at = (place + offset) % BURST_BYTES
            found[at] = found.get(at, 0) + times * often
    return found


def _row_starts(layout: Layout, rows: Spans) -> Places:
    """Places of the first bytes of the rows that `rows` name, as if all were in the left tiles."""
    found: Places = {}
    step = layout.strides[0]
    for part in rows:
        if len(layout.tiles) == 1:
            ((_, _, address),) = layout.tiles
            lows = _progression(address + part.first * step, part.step * step, part.number)
            _add(found, _sums(lows, _progression(0, step, part.length)))
            continue
        for low, (top, bottom, address) in product(part.starts, layout.tiles):
            first, end = max(low, top), min(low + part.length, bottom)
            _add(found, _progression(address + (first - top) * step, step, max(0, end - first)))
    return found


def _add(places: Places, more: Places) -> None:
    for place, times in more.items():
        places[place] = places.get(place, 0) + times


def _runs(layout: Layout, columns: Spans, channels: Spans) -> Iterator[tuple[Places, int]]:
    """Yields the runs of a row of all blocks by length in bytes, as offsets from the row's first byte."""
    size, (_, stride_x, stride_c) = layout.size, layout.strides
    if layout.brick:
        stride_x = BRICK * size
    parts: dict[int, Places] = {}
    for part in channels:
        if not layout.brick:
            _add(
                parts.setdefault(part.length * size, {}), _progression(part.first * size, part.step * size, part.number)
            )
            continue
        for low in part.starts:
            brick = low // BRICK
            places = _progression(brick * stride_c, stride_c, -(-(low + part.length) // BRICK) - brick)
            _add(parts.setdefault(layout.brick * size, {}), places)
    widths: dict[int, Places] = {}
    for part in columns:
        lefts = _progression(part.first * stride_x, part.step * stride_x, part.number)
        _add(widths.setdefault(part.length, {}), lefts)
    for length, offsets in parts.items():
        for width, lefts in widths.items():
            places = _sums(offsets, lefts)
            if stride_x == length:  # The pixels of the row are adjacent.
                yield places, width * length
            else:
                yield _sums(places, _progression(0, stride_x, width)), length
