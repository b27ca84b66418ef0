"""Weight decoder compiled with numba, some twenty times as fast as `codec`.

    count, weights = decode(padded, bits, most)   # count < 0: malformed

It reads the format that `codec` describes, chunk by chunk.  It only detects malformed streams; `codec` then raises the
error that names the cause.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.npu.loops.compilation import compiled

MALFORMED = -1
PADDING = 8
"""Bytes after the stream that the read of a field may access."""

_LONGEST = 1 << 15
_ZDIV_PLAIN, _ZDIV_END, _WDIV_PLAIN = 6, 7, 7
_AHEAD = 8


@compiled
def _bits(data: Array, position: int, count: int) -> Any:
    at = position >> 3
    word = (
        np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24
    )
    return word >> (position & 7) & ((1 << count) - 1)


@compiled
def _quotients(codes: int, more: int, places: int, truncated: bool, carry: int, out: Array) -> tuple[int, int]:
    """Writes the quotients that end in a chunk to `out`; returns (their number, the partial sum of the next)."""
    found = 0
    for _ in range(places):
        code = codes & 1
        codes >>= 1
        if code:
            code += more & 1
            more >>= 1
        carry += code
        if code < 2 or truncated:
            out[found] = carry
            found += 1
            carry = 0
    return found, carry


@compiled
def _runs(codes: int, places: int, carry: int, out: Array) -> tuple[int, int]:
    """Writes the zero runs that end in a chunk to `out`; returns as `_quotients`."""
    found = 0
    for _ in range(places):
        if codes & 1:
            carry += 1
        else:
            out[found] = carry
            found += 1
            carry = 0
        codes >>= 1
    return found, carry


@compiled
def _ones(number: int) -> int:
    count = 0
    while number:
        number &= number - 1
        count += 1
    return count


@compiled
def _read_slice(
    data: Array, limit: int, position: int, weights: Array, runs: Array, length: int, width: int, unary: int,
    places: int, truncated: bool, zero_limit: int, zero_width: int, zero_bits: int,
) -> int:  # fmt: skip
    """Reads the symbols of a slice to `weights` and its zero runs to `runs`; returns the position after the slice."""
    quotients, zeros = np.zeros(16, np.int64), np.zeros(16, np.int64)
    weights_left, zeros_left, lead = length, zero_limit, zero_limit - length
    pending = zeros_pending = done = zeros_done = 0
    carry = zero_carry = 0
    while True:
        ahead = zeros_left - weights_left - lead
        take_weights = weights_left > 0 and (zero_limit == 0 or ahead < _AHEAD)
        take_zeros = zeros_left > 0 and ahead >= 0
        codes = zero_codes = more = 0
        if take_weights:
            codes = _bits(data, position, unary)
            position += unary
        if take_zeros:
            zero_codes = _bits(data, position, zero_bits)
            position += zero_bits
        extra = _ones(codes)
        more = _bits(data, position, extra)
        position += extra
        if position + pending * width + zeros_pending * zero_width > limit:
            return MALFORMED
        for index in range(pending):
            weights[done] = (quotients[index] << width) + _bits(data, position, width)
            position += width
            done += 1
        for index in range(zeros_pending):
            runs[zeros_done] = (zeros[index] << zero_width) + _bits(data, position, zero_width)
            position += zero_width
            zeros_done += 1
        if not (take_weights or take_zeros):
            return position
        pending = zeros_pending = 0
        if take_weights:
            pending, carry = _quotients(codes, more, places, truncated, carry, quotients)
            weights_left -= pending
            pending += min(weights_left, 0)
        if take_zeros:
            zeros_pending, zero_carry = _runs(zero_codes, zero_bits, zero_carry, zeros)
            zeros_left -= zeros_pending
            zeros_pending += min(zeros_left, 0)


@compiled
def _valued(symbols: Array, count: int, palette: Array, entries: int, direct_offset: int) -> bool:
    """Converts symbols to weights, in place; returns False if one has more than 9 bits."""
    for index in range(count):
        symbol = symbols[index]
        if symbol >= 512:
            return False
        value = palette[symbol] if symbol < entries else symbol - entries + direct_offset
        symbols[index] = -(value >> 1) if value & 1 else value >> 1
    return True


@compiled
def _spread(
    out: Array, at: int, weights: Array, length: int, runs: Array, zero_limit: int, most: int
) -> tuple[Array, int]:
    """Appends weights with the zeros of their runs to `out`, which grows as needed.

    Returns `out` and the new length, `MALFORMED` if that exceeds `most`.
    """
    total = length
    for index in range(zero_limit):
        total += runs[index]
    if at + total > most:
        return out, MALFORMED
    if at + total > len(out):
        grown = np.zeros(2 * (at + total), np.int16)
        grown[:at] = out[:at]
        out = grown
    lead = zero_limit - length if zero_limit else 0
    if lead:
        at += runs[0]
    for index in range(length):
        out[at] = weights[index]
        at += 1
        if zero_limit:
            at += runs[index + lead]
    return out, at


@compiled
def decode(data: Array, limit: int, most: int) -> tuple[int, Array]:
    """Decodes a stream of `limit` bits, followed by `PADDING` bytes.

    Returns (number of weights, int16 array of at least that length); the number is `MALFORMED` for a malformed stream
    and for more than `most` weights.
    """
    out, count, position = np.zeros(4 * len(data), np.int16), 0, 0
    weights, runs = np.zeros(_LONGEST, np.int64), np.zeros(_LONGEST + 1, np.int64)
    palette, entries, bits, direct_offset, palette_runs = np.zeros(32, np.int64), 0, 0, 0, -1
    while position + 3 <= limit:
        zdiv = _bits(data, position, 3)
        position += 3
        if zdiv == _ZDIV_END:
            position = (position + 7) // 8 * 8
            palette_runs = -1
            if position >= limit:
                return count, out
            continue
        zero_runs = zdiv != _ZDIV_PLAIN
        if (zdiv > 3 and zero_runs) or position + 20 > limit:
            return MALFORMED, out
        length = _bits(data, position, 15) + 1
        wdiv, truncated, fresh = (
            _bits(data, position + 15, 3),
            _bits(data, position + 18, 1),
            _bits(data, position + 19, 1),
        )
        position += 20
        if fresh:
            if position + 13 > limit:
                return MALFORMED, out
            direct_offset, entries = _bits(data, position, 5), _bits(data, position + 5, 5)
            bits, palette_runs = _bits(data, position + 10, 3) + 2, int(zero_runs)
            entries += entries > 0
            position += 13
            if position + entries * bits > limit:
                return MALFORMED, out
            for index in range(entries):
                palette[index] = _bits(data, position, bits)
                position += bits
        if palette_runs != zero_runs or wdiv == 6:
            return MALFORMED, out
        width, unary, places = wdiv, 12, 12
        if wdiv == _WDIV_PLAIN:
            width, unary = bits, 0
            if entries:
                width = 0
                while entries - 1 >> width:
                    width += 1
            places = 8 if width > 5 else 12
        zero_limit = length + fresh if zero_runs else 0
        position = _read_slice(
            data, limit, position, weights, runs, length, width, unary, places, truncated != 0, zero_limit,
            zdiv if zero_runs else 0, (12 if zdiv < 3 else 8) if zero_runs else 0,
        )  # fmt: skip
        if position < 0 or not _valued(weights, length, palette, entries, direct_offset):
            return MALFORMED, out
        out, count = _spread(out, count, weights, length, runs, zero_limit, most)
        if count < 0:
            return MALFORMED, out
    return MALFORMED, out
