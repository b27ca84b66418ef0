"""Constant propagation: the memory contents that are known while a stream is decoded.

Weights, scales and lookup tables are in a read-only region, but Vela often emits DMAs that copy them to the arena or to
SHRAM.  `KnownMemory` tracks those copies through the stream, so that they can be unpacked once, at decode time.  It
holds the bytes of the constant regions, and those bytes of writable regions that a DMA copied from known bytes and that
no later operation has overwritten.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from hil.core.arrays import Bytes
from hil.npu.stream.operations import Range


class KnownMemory:
    """Memory contents known at one point of the stream; `constants` are the read-only regions."""

    def __init__(self, constants: Mapping[int, NDArray[Any]]) -> None:
        self._constants = constants
        self._copies: dict[int, tuple[list[int], list[Bytes]]] = {}  # Sorted addresses, and the bytes at each.

    def read(self, wanted: Range) -> Bytes | None:
        """Returns the bytes of `wanted`, or None if not all of them are known."""
        constant = self._constants.get(wanted.region)
        if constant is not None:
            return constant[wanted.address : wanted.end] if wanted.end <= len(constant) else None
        addresses, pieces = self._copies.get(wanted.region, ((), ()))
        index = bisect_right(addresses, wanted.address) - 1
        if index < 0 or addresses[index] + len(pieces[index]) < wanted.end:
            return None
        address = addresses[index]
        return pieces[index][wanted.address - address : wanted.end - address]

    def write(self, region: int, low: int, high: int, data: Bytes | None = None) -> None:
        """Records that bytes `low` to `high` (excluded) of `region` become `data`, None if known only at run time."""
        if low >= high:
            return
        addresses, pieces = self._copies.setdefault(region, ([], []))
        last = bisect_left(addresses, high)
        first = max(bisect_right(addresses, low) - 1, 0)
        if first < last and addresses[first] + len(pieces[first]) <= low:
            first += 1
        kept: list[tuple[int, Bytes]] = [] if data is None else [(low, data)]
        if first < last:
            if addresses[first] < low:
                kept.insert(0, (addresses[first], pieces[first][: low - addresses[first]]))
            if addresses[last - 1] + len(pieces[last - 1]) > high:
                kept.append((high, pieces[last - 1][high - addresses[last - 1] :]))
        addresses[first:last] = [address for address, _ in kept]
        pieces[first:last] = [piece for _, piece in kept]


class Spans:
    """A set of bytes: the union of `parts`, each (region, first byte, byte after the last)."""

    def __init__(self, parts: Iterable[tuple[int, int, int]]) -> None:
        self._lows: dict[int, list[int]] = {}
        self._highs: dict[int, list[int]] = {}
        for region, low, high in sorted(parts):
            lows, highs = self._lows.setdefault(region, []), self._highs.setdefault(region, [])
            if highs and low <= highs[-1]:
                highs[-1] = max(highs[-1], high)
            elif low < high:
                lows.append(low)
                highs.append(high)

    def overlaps(self, region: int, low: int, high: int) -> bool:
        """True if any byte from `low` to `high` (excluded) of `region` is in the set."""
        index = bisect_left(self._lows.get(region, ()), high) - 1
        return index >= 0 and self._highs[region][index] > low
