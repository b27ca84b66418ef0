"""Weight decoder: decompresses the NPU's Golomb-Rice coded weight stream.

    weights = decode_weight_stream(data)        # int16 array of values -255 to 255, in hardware order

The stream is a sequence of *slices*; bits count from the lowest of each byte.  A slice has a header:

=========  ====  =====================================================================================
field      bits  meaning
=========  ====  =====================================================================================
ZDIV       3     0-3 zeros are run-length coded with this divisor, 6 they are not, 7 end (then byte-aligned)
SLICELEN   15    number of weight symbols, less one
WDIV       3     0-5 divisor of the weights' Golomb-Rice code, 7 plain binary
WTRUNC     1     the quotient of a weight is at most 2
NEWPAL     1     palette follows: DIROFS 5, PALSIZE 5 (less one), PALBITS 3 (less two), then the entries
=========  ====  =====================================================================================

*Chunks* follow: each may hold 12 weight quotients (`WUNARY0`, one bit per symbol, and `WUNARY1`, one more for each set
bit: 0 is quotient part 0, 10 part 1, 11 part 2 and more to come), a part of the zero runs' unary code, and then the
remainders of the previous chunk.  A symbol is an index to the palette or, above it, a direct value, which is
`2*magnitude + sign`.

Compiled code (`native/weights.c`) decodes the stream.  Without it, decoding has two passes.  The first, here, scans all
slices in Python for the position of each chunk and the codes it holds (about 1 us per chunk of up to 12 weights).  The
second (`symbols`) gathers all bits of the stream with NumPy.  Every read is bounded and every field is checked: a
malformed stream raises `StreamError`.  Vela's own `mlw_codec` ends the process instead.

Source: the format as Vela's `mlw_codec` reads it (Apache-2.0); tests compare with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.errors import StreamError
from hil.npu.native import library
from hil.npu.weights.symbols import ONES, Palette, ScannedSlices, Slice, gather_weights

_ZDIV_PLAIN, _ZDIV_END, _WDIV_PLAIN = 6, 7, 7
_UNARY = 12
"""Bits of a chunk's `WUNARY0`."""

MAX_STREAM_WEIGHTS = (1 << 24) + (1 << 15)
"""Largest number of weights in a stream; bounds the cost of a malformed one, as one bit can encode 8 zeros."""

_GROUP = 1 << 20
"""Weights gathered at a time; each takes some 60 bytes."""

_ONES = tuple(ONES.tolist())
_MASKS = tuple((1 << count) - 1 for count in range(_UNARY + 1))


def decode_weight_stream(data: bytes, most: int = MAX_STREAM_WEIGHTS) -> NDArray[np.int16]:
    """Decodes all weights of a stream, in stream order.

    Raises `StreamError` if the stream is malformed, ends early, or has more than `most` weights.
    """
    found = library.loaded()
    if found is not None:
        decoded = found.decode_weights(data, most)
        if decoded is not None:
            return decoded
    return _decode(data, most)  # Its errors name what is malformed.


def _decode(data: bytes, most: int) -> NDArray[np.int16]:
    reader = _Bits(data)
    scanned = ScannedSlices()
    palette: Palette | None = None
    parts: list[NDArray[np.int16]] = []
    found = waiting = 0
    while True:
        if found + waiting > most:
            raise StreamError(f"weight stream: more than {most} weights")
        if waiting >= _GROUP:
            parts.append(gather_weights(reader.windows, scanned, most - found))
            scanned, found, waiting = ScannedSlices(), found + len(parts[-1]), 0
        zdiv = reader.take(3)
        if zdiv == _ZDIV_END:
            reader.align()
            palette = None
            if reader.at_end():
                return np.concatenate([*parts, gather_weights(reader.windows, scanned, most - found)])
            continue
        if zdiv > 3 and zdiv != _ZDIV_PLAIN:
            raise StreamError(f"weight stream: zero divisor {zdiv} at bit {reader.position}")
        palette = _scan_slice(reader, zdiv, palette, scanned)
        waiting += scanned.slices[-1].length


class _Bits:
    """Bit reader of a stream; raises `StreamError` at its end.

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


def _read_palette(reader: _Bits, zero_runs: bool) -> Palette:
    direct_offset, size, bits = reader.take(5), reader.take(5), reader.take(3) + 2
    entries = tuple(reader.take(bits) for _ in range(size + 1 if size else 0))
    return Palette(entries, bits, direct_offset, zero_runs)


def _scan_slice(reader: _Bits, zdiv: int, palette: Palette | None, scanned: ScannedSlices) -> Palette:
    """Records one slice in `scanned`; returns the palette in force from here on."""
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
        wdiv = (len(palette.entries) - 1).bit_length() if palette.entries else palette.bits
    piece = Slice(
        length,
        wdiv,
        0 if plain else _UNARY,
        8 if plain and wdiv > 5 else 12,
        truncated,
        length + fresh if zero_runs else 0,
        zdiv if zero_runs else 0,
        (12 if zdiv < 3 else 8) if zero_runs else 0,
        zero_runs and fresh,
        palette,
    )
    before = len(scanned.positions)
    end = (_scan_both if zero_runs else _scan_weights)(reader, piece, scanned)
    reader.move(end)
    scanned.slices.append(piece)
    scanned.chunks.append(len(scanned.positions) - before)
    return palette


def _scan_weights(reader: _Bits, piece: Slice, scanned: ScannedSlices) -> int:
    """Records the position of each chunk of a slice without zero runs; returns the position after the slice.

    This loop and the next take most of the decoding time: they use local names, and check bounds once per chunk.
    """
    words, ones, masks, limit, note = reader.words, _ONES, _MASKS, reader.length, scanned.positions.append
    unary, per_chunk, truncated = _MASKS[piece.unary_bits], piece.per_chunk, piece.truncated
    width, unary_bits, left, pending = piece.width, piece.unary_bits, piece.length, 0
    position, before = reader.position, len(scanned.positions)
    while left > 0:
        note(position)
        word = words[position >> 3] >> (position & 7)
        extra = ones[word & unary]
        position += unary_bits + extra + pending * width
        if position > limit:
            raise StreamError("weight stream: ends early")
        pending = per_chunk if truncated else per_chunk - ones[word >> unary_bits & masks[extra]]
        left -= pending
    note(position)
    scanned.modes += b"\x01" * (len(scanned.positions) - before - 1) + b"\x00"
    return position + (pending + left) * width


def _scan_both(reader: _Bits, piece: Slice, scanned: ScannedSlices) -> int:
    """Scans a slice with zero runs, as `_scan_weights`."""
    words, ones, masks, limit, note = reader.words, _ONES, _MASKS, reader.length, scanned.positions.append
    unary, per_chunk, truncated = _MASKS[piece.unary_bits], piece.per_chunk, piece.truncated
    width, unary_bits, zero_width, zero_bits = piece.width, piece.unary_bits, piece.zero_width, piece.zero_bits
    weights_left, zeros_left, note_mode = piece.length, piece.zero_limit, scanned.modes.append
    zero_mask, lead = _MASKS[zero_bits], zeros_left - weights_left
    position, weights_pending, zeros_pending = reader.position, 0, 0
    while True:
        # The two codes throttle each other, so that neither runs far ahead.
        ahead = zeros_left - weights_left - lead
        take_weights, take_zeros = ahead < 8 and weights_left > 0, ahead >= 0 and zeros_left > 0
        note(position)
        note_mode(take_weights + 2 * take_zeros)
        if not (take_weights or take_zeros):
            return position + weights_pending * width + zeros_pending * zero_width
        remainders = weights_pending * width + zeros_pending * zero_width
        word = words[position >> 3] >> (position & 7)
        extra = weights_pending = zeros_pending = 0
        if take_weights:
            extra = ones[word & unary]
            word >>= unary_bits
            position += unary_bits
        if take_zeros:
            zeros_pending = zero_bits - ones[word & zero_mask]
            position += zero_bits
        if take_weights:
            word = words[position >> 3] >> (position & 7)
            weights_pending = per_chunk if truncated else per_chunk - ones[word & masks[extra]]
        position += extra + remainders
        if position > limit:
            raise StreamError("weight stream: ends early")
        weights_left -= weights_pending
        zeros_left -= zeros_pending
        if take_weights and weights_left < 0:  # The last chunk may have more symbols than are wanted.
            weights_pending += weights_left
        if take_zeros and zeros_left < 0:
            zeros_pending += zeros_left
