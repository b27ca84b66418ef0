"""The weight codec: how the NPU's weights are compressed.

    weights = decode_stream(data)        # int16 array of values -255 to 255, in hardware order

The stream is a row of *slices*, bits counted from the lowest of each byte.  A slice has a header:

=========  ====  =====================================================================================
field      bits  meaning
=========  ====  =====================================================================================
ZDIV       3     0-3 zeros are run-length coded with this divisor, 6 they are not, 7 end (then byte-aligned)
SLICELEN   15    number of weight symbols, less one
WDIV       3     0-5 divisor of the weights' Golomb-Rice code, 7 plain binary
WTRUNC     1     the quotient of a weight is at most 2
NEWPAL     1     palette follows: DIROFS 5, PALSIZE 5 (less one), PALBITS 3 (less two), then the entries
=========  ====  =====================================================================================

Then *chunks*: each may read 12 weight quotients (`WUNARY0`, one bit a symbol, and `WUNARY1`, one more for each that is
set: 0 is quotient part 0, 10 part 1, 11 part 2 and more to come), a piece of the zero runs' unary code, and then the
remainders of the chunk before.  A symbol is an index to the palette or, above it, a direct value, which is
`2*magnitude + sign`.

Reading is in two passes.  The first walks the chunks in Python to find where everything lies (about 2 us a chunk of up
to 12 weights), the second gathers all bits of a slice with NumPy.  Every read is bounded and every field is checked: a
malformed stream raises `StreamError`.  Vela's own `mlw_codec` ends the process instead.

Source: the format as Vela's `mlw_codec` reads it (Apache-2.0); tests compare with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.npu.errors import StreamError

_ZDIV_PLAIN, _ZDIV_END, _WDIV_PLAIN = 6, 7, 7
_WINDOW = 8
_ONES = tuple(bin(i).count("1") for i in range(1 << 12))


def decode_stream(data: bytes) -> NDArray[np.int16]:
    """All weights of an encoded stream, in the order in which they were encoded.

    Raises `StreamError` if the stream is malformed or ends early.
    """
    reader = _Bits(data)
    slices: list[NDArray[np.int16]] = []
    palette: _Palette | None = None
    while True:
        zdiv = reader.take(3)
        if zdiv == _ZDIV_END:
            reader.align()
            palette = None
            if reader.at_end():
                return np.concatenate(slices) if slices else np.zeros(0, np.int16)
            continue
        if zdiv > 3 and zdiv != _ZDIV_PLAIN:
            raise StreamError(f"weight stream: zero divisor {zdiv} at bit {reader.position}")
        values, palette = _decode_slice(reader, zdiv, palette)
        slices.append(values)


@dataclass(frozen=True)
class _Palette:
    entries: NDArray[np.int64]
    bits: int
    direct_offset: int
    zero_runs: bool


class _Bits:
    """A position in the stream; reads past the end raise."""

    def __init__(self, data: bytes) -> None:
        self.data = data + bytes(_WINDOW)
        self.length = len(data) * 8
        self.position = 0
        self.bits: NDArray[np.uint8] = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")

    def take(self, count: int) -> int:
        position = self.position
        self.position = position + count
        if self.position > self.length:
            raise StreamError("weight stream: ends early")
        word = int.from_bytes(self.data[position >> 3 : (position >> 3) + _WINDOW], "little")
        return word >> (position & 7) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > self.length:
            raise StreamError("weight stream: ends early")

    def align(self) -> None:
        self.position = -(-self.position // 8) * 8

    def at_end(self) -> bool:
        return self.position >= self.length

    def gather(self, positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The `count`-bit numbers at `positions`."""
        result = np.zeros(len(positions), np.int64)
        for bit in range(count):
            result |= self.bits[positions + bit].astype(np.int64) << bit
        return result


@dataclass
class _Remainders:
    """Where the remainders of one kind of symbols lie: per chunk the first bit and how many follow."""

    width: int
    limit: int
    starts: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    read: int = 0
    pending: int = 0

    def flush(self, reader: _Bits) -> None:
        count = min(self.pending, self.limit - self.read)
        self.starts.append(reader.position)
        self.counts.append(count)
        reader.skip(count * self.width)
        self.read += count
        self.pending = 0

    def gather(self, reader: _Bits) -> NDArray[np.int64]:
        counts = np.array(self.counts, np.int64)
        inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return reader.gather(np.repeat(np.array(self.starts, np.int64), counts) + inside * self.width, self.width)


def _read_palette(reader: _Bits, zero_runs: bool) -> _Palette:
    direct_offset, size, bits = reader.take(5), reader.take(5), reader.take(3) + 2
    entries = [reader.take(bits) for _ in range(size + 1 if size else 0)]
    return _Palette(np.array(entries, np.int64), bits, direct_offset, zero_runs)


def _decode_slice(reader: _Bits, zdiv: int, palette: _Palette | None) -> tuple[NDArray[np.int16], _Palette]:
    zero_runs = zdiv != _ZDIV_PLAIN
    length = reader.take(15) + 1
    wdiv, truncated, fresh = reader.take(3), bool(reader.take(1)), bool(reader.take(1))
    if fresh:
        palette = _read_palette(reader, zero_runs)
    if palette is None or palette.zero_runs != zero_runs:
        raise StreamError(f"weight stream: a slice without its palette at bit {reader.position}")
    plain = wdiv == _WDIV_PLAIN
    if wdiv == 6:
        raise StreamError(f"weight stream: weight divisor 6 at bit {reader.position}")
    if plain:
        wdiv = (len(palette.entries) - 1).bit_length() if len(palette.entries) else palette.bits
    weights = _Remainders(wdiv, length)
    zeros = _Remainders(zdiv if zero_runs else 0, length + fresh if zero_runs else 0)
    unary0, unary1, zero_unary = _walk(reader, weights, zeros, plain, truncated)

    per_chunk = 8 if plain and wdiv > 5 else 12
    quotients = _weight_quotients(unary0, unary1, per_chunk, truncated)[:length]
    symbols = (quotients << wdiv) + weights.gather(reader)
    if int(symbols.max(initial=0)) >= 512:
        raise StreamError(f"weight stream: a weight of more than 9 bits before bit {reader.position}")
    size = len(palette.entries)
    direct = symbols - size + palette.direct_offset
    values = np.where(symbols < size, palette.entries[np.minimum(symbols, size - 1)], direct) if size else direct
    result = np.where(values & 1, -(values >> 1), values >> 1).astype(np.int16)
    if zero_runs:
        runs = (_run_quotients(zero_unary, _unary_bits(zdiv))[: zeros.limit] << zdiv) + zeros.gather(reader)
        result = _spread(result, runs, fresh)
    return result, palette


def _unary_bits(zdiv: int) -> int:
    return 12 if zdiv < 3 else 8


def _walk(
    reader: _Bits, weights: _Remainders, zeros: _Remainders, plain: bool, truncated: bool
) -> tuple[list[int], list[int], list[int]]:
    """First pass: the unary parts of every chunk, and in `weights` and `zeros` where the remainders lie."""
    unary0: list[int] = []
    unary1: list[int] = []
    zero_unary: list[int] = []
    per_chunk = 8 if plain and weights.width > 5 else 12
    zero_bits = _unary_bits(zeros.width)
    weight_count = zero_count = 0
    while True:
        # The two codes throttle each other, so that neither runs far ahead.
        ahead = weight_count - zero_count if zeros.limit else 0
        take_weights = ahead < 8 and weight_count < weights.limit
        take_zeros = ahead >= 0 and zero_count < zeros.limit
        bits0 = reader.take(12) if take_weights and not plain else 0
        pending_zeros = 0
        if take_zeros:
            bits = reader.take(zero_bits)
            zero_unary.append(bits)
            pending_zeros = zero_bits - _ONES[bits]
            zero_count += pending_zeros
        pending_weights = 0
        if take_weights:
            bits1 = reader.take(_ONES[bits0])
            unary0.append(bits0)
            unary1.append(bits1)
            pending_weights = per_chunk if truncated else per_chunk - _ONES[bits1]
            weight_count += pending_weights
        weights.flush(reader)
        zeros.flush(reader)
        if not take_weights and not take_zeros:
            return unary0, unary1, zero_unary
        weights.pending, zeros.pending = pending_weights, pending_zeros


def _weight_quotients(unary0: list[int], unary1: list[int], per_chunk: int, truncated: bool) -> NDArray[np.int64]:
    places = np.arange(per_chunk)
    first = np.array(unary0, np.int64)[:, None] >> places & 1
    rank = np.cumsum(first, axis=1) - first
    codes = (first + (first & np.array(unary1, np.int64)[:, None] >> rank)).ravel()
    ends = np.arange(len(codes)) if truncated else np.flatnonzero(codes < 2)
    return np.diff(np.cumsum(codes)[ends], prepend=0)


def _run_quotients(unary: list[int], bits: int) -> NDArray[np.int64]:
    codes = (np.array(unary, np.int64)[:, None] >> np.arange(bits) & 1).ravel()
    return np.diff(np.cumsum(codes)[np.flatnonzero(codes == 0)], prepend=0)


def _spread(values: NDArray[np.int16], runs: NDArray[np.int64], leading: bool) -> NDArray[np.int16]:
    """`values` with the zeros of `runs` after each (and the first run before them all if `leading`)."""
    before = np.cumsum(runs)[: len(values)] if leading else np.cumsum(runs)[: len(values)] - runs[: len(values)]
    result = np.zeros(len(values) + int(runs.sum()), np.int16)
    result[np.arange(len(values)) + before] = values
    return result
