"""Second pass of the weight decoder: gathers the weights of all slices from the positions of their chunks.

    weights = gather_weights(windows, scanned, most)  # int16, zeros of the runs included

`codec` describes the format and finds the chunks.  A *code* is one position of a chunk's unary part.  A symbol is a
quotient, the sum of the codes up to the one that ends it, and a remainder of the slice's width.  Arrays are by chunk,
by code or by symbol; the fields of a slice are repeated for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Integers
from hil.core.errors import StreamError

Bools = NDArray[np.bool_]

PLACES = 12
"""Largest number of codes in a chunk."""

ONES: Integers = (
    np.unpackbits(np.arange(1 << PLACES, dtype="<u2").view(np.uint8)).reshape(-1, 16).sum(axis=1, dtype=np.int64)
)
"""Number of ones of each number of 12 bits."""


@dataclass(frozen=True)
class Palette:
    """Palette entries, `bits` wide; a symbol beyond them is a direct value, `direct_offset` added."""

    entries: tuple[int, ...]
    bits: int
    direct_offset: int
    zero_runs: bool


@dataclass(frozen=True)
class Slice:
    """Header of a slice.

    `length` weights with remainders of `width` bits, unary parts of `unary_bits` (0: plain binary) and at most
    `per_chunk` symbols per chunk; quotients of at most 2 in one code each if `truncated`.  `zero_limit` zero runs, with
    remainders of `zero_width` bits and unary parts of `zero_bits`; the first precedes all weights if `leading`.
    """

    length: int
    width: int
    unary_bits: int
    per_chunk: int
    truncated: bool
    zero_limit: int
    zero_width: int
    zero_bits: int
    leading: bool
    palette: Palette


@dataclass
class ScannedSlices:
    """Slices and chunk positions, the result of the first pass.

    `positions` and `modes` by chunk: its first bit, and flags for weights (1) and zero runs (2); each slice ends with a
    chunk of neither, which holds the last remainders.  `chunks` is the number of chunks by slice.
    """

    slices: list[Slice] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    modes: bytearray = field(default_factory=bytearray)


def gather_weights(windows: NDArray[Any], scanned: ScannedSlices, most: int) -> NDArray[np.int16]:
    """Gathers all weights of the slices; `windows` are the 32 bits that start at each byte of the stream.

    Raises `StreamError` for a weight of more than 9 bits, and for more than `most` weights.
    """
    if not scanned.slices:
        return np.zeros(0, np.int16)
    stream = _Stream(windows, scanned)
    weights = _values(stream, stream.weights())
    if not any(piece.zero_limit for piece in scanned.slices):
        return weights
    runs = stream.runs()
    if len(weights) + int(runs.sum()) > most:
        raise StreamError(f"weight stream: more than {most} weights")
    return _spread(stream, weights, runs)


@dataclass(frozen=True)
class _Code:
    """Weights or zero runs of all chunks.

    By chunk: `codes` (chunk, position) and a mask of those that end a symbol (`ends`); the number of symbols `found`,
    and of those `wanted` by the slice; the first bit of the `remainders`.  By slice: `lengths` in symbols, `widths` in
    bits.
    """

    codes: NDArray[np.uint8]
    ends: Bools
    found: Integers
    wanted: Integers
    remainders: Integers
    lengths: Integers
    widths: Integers


class _Stream:
    """Bits of all chunks of a stream, with the header fields of their slices."""

    def __init__(self, windows: NDArray[Any], scanned: ScannedSlices) -> None:
        self._windows = windows
        self._slices = scanned.slices
        self._chunks = np.array(scanned.chunks)
        self._starts = np.cumsum(self._chunks) - self._chunks
        modes = np.frombuffer(scanned.modes, np.uint8)
        has_weights, has_runs = (modes & 1).astype(np.int64), (modes >> 1).astype(np.int64)
        unary_bits, zero_bits = self._by_chunk("unary_bits"), self._by_chunk("zero_bits") * has_runs
        at = np.array(scanned.positions)
        self._first = self._bits(at, unary_bits * has_weights)
        at += unary_bits * has_weights
        self._unary_runs = self._bits(at, zero_bits)
        at += zero_bits
        self._extra = ONES[self._first]
        self._second = self._bits(at, self._extra)
        self._at = at + self._extra
        whole = self._by_chunk("truncated").astype(bool)
        self._truncated = whole
        self._places = self._by_chunk("per_chunk") * has_weights
        self._zero_places = zero_bits
        self._found = self._places - np.where(whole, 0, ONES[self._second])
        self._wanted = self._limited(self._found, self.of_slices("length"))

    def of_slices(self, name: str) -> Integers:
        """Returns a field of `Slice`, by slice."""
        return np.array([getattr(piece, name) for piece in self._slices], np.int64)

    def repeated(self, of_slice: Callable[[Slice], int]) -> Integers:
        """Returns `of_slice` of each slice, repeated by weight."""
        return np.repeat(np.array([of_slice(piece) for piece in self._slices], np.int64), self.of_slices("length"))

    def weights(self) -> Integers:
        """Returns the weights' symbols."""
        codes = _unpacked(self._first)
        codes[codes.astype(bool)] += _unpacked(self._second)[np.arange(PLACES) < self._extra[:, None]]
        ends = (codes < 2) | self._truncated[:, None]
        ends &= np.arange(PLACES) < self._places[:, None]
        lengths, widths = self.of_slices("length"), self.of_slices("width")
        return self._symbols(_Code(codes, ends, self._found, self._wanted, self._at, lengths, widths))

    def runs(self) -> Integers:
        """Returns the lengths of the zero runs, in stream order."""
        codes = _unpacked(self._unary_runs)
        ends = (codes == 0) & (np.arange(PLACES) < self._zero_places[:, None])
        found = self._zero_places - ONES[self._unary_runs]
        lengths, widths = self.of_slices("zero_limit"), self.of_slices("zero_width")
        behind_weights = self._at + _before(self._wanted) * self._by_chunk("width")
        return self._symbols(_Code(codes, ends, found, self._limited(found, lengths), behind_weights, lengths, widths))

    def _symbols(self, code: _Code) -> Integers:
        sums = np.cumsum(code.codes, dtype=np.int64)
        ends = np.flatnonzero(code.ends)
        number = np.arange(len(ends)) - np.repeat(np.cumsum(code.found) - code.found, code.found)
        kept = sums[ends[number < np.repeat(code.wanted, code.found)]]
        base = np.concatenate(([0], kept[:-1]))
        # A slice starts at zero, also if its predecessor's last chunk had surplus codes.
        filled = code.lengths > 0
        base[(np.cumsum(code.lengths) - code.lengths)[filled]] = np.concatenate(([0], sums))[
            self._starts[filled] * PLACES
        ]
        pending = _before(code.wanted)
        place = np.arange(len(kept)) - np.repeat(np.cumsum(pending) - pending, pending)
        width = np.repeat(code.widths, code.lengths)
        symbols: Integers = (kept - base << width) + self._bits(
            np.repeat(code.remainders, pending) + place * width, width
        )
        return symbols

    def _by_chunk(self, name: str) -> Integers:
        return np.repeat(self.of_slices(name), self._chunks)

    def _bits(self, positions: Integers, counts: Integers) -> Integers:
        """Reads the numbers of `counts` bits at `positions`."""
        numbers: Integers = self._windows[positions >> 3].astype(np.int64) >> (positions & 7) & ((1 << counts) - 1)
        return numbers

    def _limited(self, found: Integers, limits: Integers) -> Integers:
        """Counts, of the symbols `found` in each chunk, those among the first `limits` of their slice."""
        sums = np.cumsum(found)
        within = np.minimum(
            sums - np.repeat((sums - found)[self._starts], self._chunks), np.repeat(limits, self._chunks)
        )
        before = _before(within)
        before[self._starts] = 0
        return within - before


def _before(values: Integers) -> Integers:
    """Shifts `values` by one chunk: each chunk gets that of its predecessor."""
    return np.concatenate(([0], values[:-1]))


def _unpacked(numbers: Integers) -> NDArray[np.uint8]:
    """Unpacks the 12 bits of each number, lowest first."""
    return np.unpackbits(numbers.astype("<u2").view(np.uint8).reshape(-1, 2), axis=1, count=PLACES, bitorder="little")


def _values(stream: _Stream, symbols: Integers) -> NDArray[np.int16]:
    """Converts symbols to weights: palette entries or direct values."""
    if int(symbols.max(initial=0)) >= 512:
        raise StreamError("weight stream: a weight of more than 9 bits")
    sizes = stream.repeated(lambda piece: len(piece.palette.entries))
    values = symbols - sizes + stream.repeated(lambda piece: piece.palette.direct_offset)
    listed = symbols < sizes
    starts: dict[Palette, int] = {}
    entries: list[int] = []

    def start(piece: Slice) -> int:
        if piece.palette not in starts:
            starts[piece.palette] = len(entries)
            entries.extend(piece.palette.entries)
        return starts[piece.palette]

    first = stream.repeated(start)
    if entries:
        values[listed] = np.array(entries)[(first + symbols)[listed]]
    return np.where(values & 1, -(values >> 1), values >> 1).astype(np.int16)


def _spread(stream: _Stream, weights: NDArray[np.int16], runs: Integers) -> NDArray[np.int16]:
    """Inserts the zeros of `runs` between `weights`."""
    lengths, limits, leading = stream.of_slices("length"), stream.of_slices("zero_limit"), stream.of_slices("leading")
    is_leading = np.zeros(len(runs), bool)
    is_leading[(np.cumsum(limits) - limits)[leading > 0]] = True
    after = np.zeros(len(weights), np.int64)
    after[np.repeat(limits > 0, lengths)] = runs[~is_leading]
    lead = np.zeros(len(lengths), np.int64)
    lead[leading > 0] = runs[is_leading]
    before = np.cumsum(after) - after + np.repeat(np.cumsum(lead), lengths)
    result = np.zeros(len(weights) + int(runs.sum()), np.int16)
    result[np.arange(len(weights)) + before] = weights
    return result
