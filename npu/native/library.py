"""The compiled code of this package: whether there is any, and calls of it.

    found = loaded()                       # None: there was no compiler when the package was built
    found.run(steps, stretches, memory, Pieces(1))

`code` finds the library.  Without it NumPy computes everything, with the same results.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.native.code import MAX_REGIONS, open_code
from hil.npu.native.records import Step, Stretch

NUMPY, PLAIN, AVX2, VNNI = range(-1, 3)
"""Levels of instructions, from no compiled code at all."""

PADDING = 8
"""Bytes after a weight stream that decoding may read."""

_SYMBOLS = (1 << 16) + 1
_TOO_SMALL = -2


@dataclass(frozen=True)
class Pieces:
    """Pieces of a batch, of which threads that share them take one after the other; `taken` counts those."""

    count: int
    taken: ctypes.c_int64 = field(default_factory=ctypes.c_int64)


@dataclass(frozen=True)
class Library:
    """The loaded code; `level` is the best that this CPU has, or that `hold` allows."""

    code: ctypes.CDLL
    level: int

    def run(
        self,
        steps: ctypes.Array[Step],
        stretches: ctypes.Array[Stretch],
        memory: Mapping[int, NDArray[np.uint8]],
        pieces: Pieces,
    ) -> None:
        """Runs `steps`, one of `stretches` behind the other, on the samples of `memory` in pieces that nobody took."""
        bases, strides = (ctypes.c_int64 * MAX_REGIONS)(), (ctypes.c_int64 * MAX_REGIONS)()
        for region, data in memory.items():
            bases[region], strides[region] = data.ctypes.data, data.strides[0]
        samples, taken = len(next(iter(memory.values()))), ctypes.byref(pieces.taken)
        if self.code.run_steps(
            steps, stretches, len(stretches), bases, strides, samples, pieces.count, taken, self.level
        ):
            raise MemoryError

    def decode_weights(self, data: bytes, most: int) -> NDArray[np.int16] | None:
        """Decodes a weight stream of at most `most` weights; None if it is malformed or longer."""
        padded = data + bytes(PADDING)
        symbols = np.empty(_SYMBOLS, np.int32)
        capacity = min(most, 4 * len(padded))
        while True:
            out = np.zeros(capacity, np.int16)
            count = self.code.decode_weights(
                padded, len(data) * 8, most, out.ctypes.data, capacity, symbols.ctypes.data
            )
            if count != _TOO_SMALL:
                return None if count < 0 else out[:count]
            capacity = min(most, 4 * capacity)

    def order_weights(self, layout: NDArray[np.int64], stream: NDArray[np.int16], weights: NDArray[np.int16]) -> bool:
        """Rearranges `stream`, as long as its layout, into zeros; False if weights outside the kernel are not zero."""
        stream = np.ascontiguousarray(stream)  # by name, so that it lives until the call ends
        return bool(self.code.order_weights(address(layout), address(stream), address(weights)))


@dataclass
class _Choice:
    """Holds the level that `hold` set, and the libraries by highest level."""

    highest: int = VNNI
    known: dict[int, Library | None] = field(default_factory=dict)


_choice = _Choice()


def loaded() -> Library | None:
    """Returns the library, or None if there is none or `hold` allows NumPy alone."""
    highest = _choice.highest
    if highest not in _choice.known:
        code = _open()
        _choice.known[highest] = (
            None if code is None or highest == NUMPY else Library(code, min(highest, code.best_level()))
        )
    return _choice.known[highest]


def hold(highest: int) -> int:
    """Uses no better level than `highest` from now on; returns what held before.

    Programs that ran already keep their steps.
    """
    before, _choice.highest = _choice.highest, highest
    return before


@lru_cache
def _open() -> ctypes.CDLL | None:
    from hil.npu.native.logistic import LOGISTIC

    code = open_code()
    if code is not None:
        code.set_logistic(ctypes.c_void_p(LOGISTIC.ctypes.data))
    return code


def address(array: Array) -> int:
    """Address of a contiguous array, which the caller keeps."""
    assert array.flags.c_contiguous
    return int(array.ctypes.data)
