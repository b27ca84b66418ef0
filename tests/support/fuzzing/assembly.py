"""Command streams and encoded weights written by hand.

words = assemble(("OFM_DEPTH_M1", 15), (Op.POOL, 0), STOP)
encoded = encode_weights([1, -2, 3])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hil.npu.stream.commands import REGISTERS_16, REGISTERS_40, REGISTERS_SCALE, Op

Write = tuple[str | Op, int]
"""A register and its value, or an operation and its parameter."""

STOP: Write = (Op.STOP, 0xFFFF)

_TABLES = (REGISTERS_16, REGISTERS_40, REGISTERS_SCALE)
_CODES = {name: code for table in _TABLES for code, name in table.items()}
_SHORT = frozenset(REGISTERS_16.values())
_SLICE = 1 << 15
_BITS = 9


def assemble(*writes: Write) -> NDArray[np.uint32]:
    """The words of a command stream; the shift of a scale is bits 32 and up of its value."""
    words: list[int] = []
    for what, value in writes:
        if isinstance(what, Op):
            words.append(what | value << 16)
        elif what in _SHORT:
            words.append(_CODES[what] | (value & 0xFFFF) << 16)
        else:
            words += [_CODES[what] | 1 << 14 | (value >> 32 & 0xFF) << 16, value & 0xFFFFFFFF]
    return np.array(words, np.uint32)


def encode_weights(values: Sequence[int]) -> bytes:
    """`values` (-255 to 255) as a weight stream that compresses nothing: a field of nine bits each."""
    fields: list[tuple[int, int]] = []
    for start in range(0, len(values), _SLICE):
        part = values[start : start + _SLICE]
        fresh = int(start == 0)
        fields += [(6, 3), (len(part) - 1, 15), (7, 3), (0, 1), (fresh, 1)]  # No zero runs, no codes.
        fields += [(0, 5), (0, 5), (_BITS - 2, 3)] if fresh else []
        fields += [(-2 * value + 1 if value < 0 else 2 * value, _BITS) for value in part]
    return _packed([*fields, (7, 3)])


def _packed(fields: Iterable[tuple[int, int]]) -> bytes:
    bits = [value >> bit & 1 for value, width in fields for bit in range(width)]
    return np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
