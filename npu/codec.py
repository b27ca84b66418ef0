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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu.errors import StreamError

_ZDIV_PLAIN, _ZDIV_END, _WDIV_PLAIN = 6, 7, 7
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
    """A position in the stream; reads past the end raise.

    `words` holds for every byte the 32 bits that start there, so that any field of up to 25 bits is one look-up.
    """

    def __init__(self, data: bytes) -> None:
        self.length = len(data) * 8
        self.position = 0
        padded = np.frombuffer(data + bytes(8), np.uint8).astype(np.uint32)
        self.windows: NDArray[Any] = padded[:-3] | padded[1:-2] << 8 | padded[2:-1] << 16 | padded[3:] << 24
        self.words: list[int] = self.windows.tolist()

    def take(self, count: int) -> int:
        position = self.position
        self.move(position + count)
        return self.words[position >> 3] >> (position & 7) & ((1 << count) - 1)

    def move(self, position: int) -> None:
        if position > self.length:
            raise StreamError("weight stream: ends early")
        self.position = position

    def align(self) -> None:
        self.position = -(-self.position // 8) * 8

    def at_end(self) -> bool:
        return self.position >= self.length

    def gather(self, positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The `count`-bit numbers at `positions`."""
        words = np.take(self.windows, positions >> 3).astype(np.int64)
        result: NDArray[np.int64] = words >> (positions & 7) & ((1 << count) - 1)
        return result


@dataclass
class _Symbols:
    """Where the symbols of one code lie: per chunk its unary bits, the first bit of its remainders, how many follow.

    `width` is the size of a remainder in bits, `limit` the number of symbols, `per_chunk` how many a chunk has at most.
    """

    width: int
    limit: int
    per_chunk: int
    unary0: list[int] = field(default_factory=list)
    unary1: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def remainders(self, reader: _Bits) -> NDArray[np.int64]:
        counts = np.array(self.counts, np.int64)
        before = np.cumsum(counts) - counts
        positions = np.repeat(np.array(self.starts, np.int64) - before * self.width, counts)
        positions += np.arange(len(positions)) * self.width
        return reader.gather(positions, self.width)


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
    weights = _Symbols(wdiv, length, 8 if plain and wdiv > 5 else 12)
    zeros = _Symbols(zdiv, length + fresh, 12 if zdiv < 3 else 8) if zero_runs else _Symbols(0, 0, 0)
    end = _walk(reader, weights, zeros, 0 if plain else 12, truncated)
    reader.move(end)

    symbols = (_weight_quotients(weights, truncated)[:length] << wdiv) + weights.remainders(reader)
    if int(symbols.max(initial=0)) >= 512:
        raise StreamError(f"weight stream: a weight of more than 9 bits before bit {reader.position}")
    size = len(palette.entries)
    direct = symbols - size + palette.direct_offset
    values = np.where(symbols < size, palette.entries[np.minimum(symbols, size - 1)], direct) if size else direct
    result = np.where(values & 1, -(values >> 1), values >> 1).astype(np.int16)
    if zero_runs:
        runs = (_run_quotients(zeros)[: zeros.limit] << zdiv) + zeros.remainders(reader)
        result = _spread(result, runs, fresh)
    return result, palette


def _walk(reader: _Bits, weights: _Symbols, zeros: _Symbols, unary_bits: int, truncated: bool) -> int:
    """First pass: notes in `weights` and `zeros` where each chunk's parts lie; gives the position behind the slice.

    This loop is most of the time of decoding: it works on local names, and checks bounds once a chunk.
    """
    words, ones, limit = reader.words, _ONES, reader.length
    position = reader.position
    weight_limit, weight_width, per_chunk = weights.limit, weights.width, weights.per_chunk
    zero_limit, zero_width, zero_bits = zeros.limit, zeros.width, zeros.per_chunk
    weight_count = zero_count = weights_pending = zeros_pending = 0
    while True:
        # The two codes throttle each other, so that neither runs far ahead.
        ahead = weight_count - zero_count if zero_limit else 0
        take_weights = ahead < 8 and weight_count < weight_limit
        take_zeros = ahead >= 0 and zero_count < zero_limit
        if position + 64 > limit and position + 12 * take_weights + zero_bits * take_zeros > limit:
            raise StreamError("weight stream: ends early")
        bits0 = fresh_weights = fresh_zeros = 0
        if take_weights and unary_bits:
            bits0 = words[position >> 3] >> (position & 7) & 0xFFF
            position += 12
        if take_zeros:
            bits = words[position >> 3] >> (position & 7) & ((1 << zero_bits) - 1)
            position += zero_bits
            zeros.unary0.append(bits)
            fresh_zeros = zero_bits - ones[bits]
        if take_weights:
            extra = ones[bits0]
            bits1 = words[position >> 3] >> (position & 7) & ((1 << extra) - 1)
            position += extra
            weights.unary0.append(bits0)
            weights.unary1.append(bits1)
            fresh_weights = per_chunk if truncated else per_chunk - ones[bits1]
        # The remainders of the chunk before; the last chunk may have more symbols than are wanted.
        weights.starts.append(position)
        weights.counts.append(weights_pending)
        position += weights_pending * weight_width
        zeros.starts.append(position)
        zeros.counts.append(zeros_pending)
        position += zeros_pending * zero_width
        if position > limit:
            raise StreamError("weight stream: ends early")
        if not take_weights and not take_zeros:
            return position
        weights_pending = min(fresh_weights, weight_limit - weight_count) if take_weights else 0
        zeros_pending = min(fresh_zeros, zero_limit - zero_count) if take_zeros else 0
        weight_count += fresh_weights
        zero_count += fresh_zeros


def _weight_quotients(weights: _Symbols, truncated: bool) -> NDArray[np.int64]:
    places = np.arange(weights.per_chunk, dtype=np.int16)
    first = np.array(weights.unary0, np.int16)[:, None] >> places & 1
    rank = np.cumsum(first, axis=1, dtype=np.int16) - first
    codes = (first + (first & np.array(weights.unary1, np.int16)[:, None] >> rank)).ravel()
    ends = np.arange(len(codes)) if truncated else np.flatnonzero(codes < 2)
    return np.diff(np.cumsum(codes, dtype=np.int64)[ends], prepend=0)


def _run_quotients(zeros: _Symbols) -> NDArray[np.int64]:
    codes = (np.array(zeros.unary0, np.int64)[:, None] >> np.arange(zeros.per_chunk) & 1).ravel()
    return np.diff(np.cumsum(codes)[np.flatnonzero(codes == 0)], prepend=0)


def _spread(values: NDArray[np.int16], runs: NDArray[np.int64], leading: bool) -> NDArray[np.int16]:
    """`values` with the zeros of `runs` after each (and the first run before them all if `leading`)."""
    before = np.cumsum(runs)[: len(values)] if leading else np.cumsum(runs)[: len(values)] - runs[: len(values)]
    result = np.zeros(len(values) + int(runs.sum()), np.int16)
    result[np.arange(len(values)) + before] = values
    return result
