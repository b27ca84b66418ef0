"""The compiled code of this package: whether there is any, and calls of it.

    found = loaded()                       # None: there was no compiler when the package was built
    found.run(steps, stretches, memory, 0, batch)

It is a shared library, built from the C files beside this module with the wheel, for any CPU; at run time it uses
AVX-512 VNNI or AVX2 where the CPU has them.  Without it NumPy computes everything, with the same results.  A library
that was built from other sources than those beside it is not used.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.native.records import MAX_REGIONS, Step, Stretch

FOLDER = Path(__file__).parent
NUMPY, PLAIN, AVX2, VNNI = range(-1, 3)
"""Levels of instructions, from no compiled code at all."""

PADDING = 8
"""Bytes after a weight stream that decoding may read."""

_SYMBOLS = (1 << 16) + 1
_TOO_SMALL = -2


def source_version() -> int:
    """A number that changes with the C files, as `setup.py` compiles it into the library."""
    sources = sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])
    return int.from_bytes(hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()[:7], "little")


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
        begin: int,
        end: int,
    ) -> None:
        """Runs `steps`, one of `stretches` behind the other, on samples `begin` to `end` of `memory`."""
        bases, strides = (ctypes.c_int64 * MAX_REGIONS)(), (ctypes.c_int64 * MAX_REGIONS)()
        for region, data in memory.items():
            bases[region], strides[region] = data.ctypes.data, data.strides[0]
        if self.code.run_steps(steps, stretches, len(stretches), bases, strides, begin, end, self.level):
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
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = FOLDER / f"_steps{suffix}"
        if not path.exists():
            continue
        code = ctypes.CDLL(str(path))
        if ctypes.c_int64.in_dll(code, "source_version").value == source_version():
            return _typed(code)
    return None


def _typed(code: ctypes.CDLL) -> ctypes.CDLL:
    from hil.npu.native.logistic import LOGISTIC

    number, pointer = ctypes.c_int64, ctypes.c_void_p
    for function in (code.best_level, code.run_steps, code.decode_weights, code.order_weights):
        function.restype = number
    code.run_steps.argtypes = [pointer, pointer, number, pointer, pointer, number, number, number]
    code.decode_weights.argtypes = [ctypes.c_char_p, number, number, pointer, number, pointer]
    code.order_weights.argtypes = [pointer, pointer, pointer]
    code.set_logistic(ctypes.c_void_p(LOGISTIC.ctypes.data))
    return code


def address(array: Array) -> int:
    """Address of a contiguous array, which the caller keeps."""
    assert array.flags.c_contiguous
    return int(array.ctypes.data)
