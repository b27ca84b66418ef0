"""The shared library of compiled steps: found beside this module, and opened.

    code = open_code()                     # None: there was no compiler when the package was built
    code.best_level()                      # of the instructions that this CPU has

It is built from the C files here with the wheel, for any CPU; at run time it uses AVX-512 VNNI or AVX2 where the CPU
has them.  A library that was built from other sources than those beside it is not used.  Nothing here needs NumPy:
`image` runs a program before NumPy is imported.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent

MAX_REGIONS = 9
"""Memory regions of a step: eight, and SHRAM."""


def source_version() -> int:
    """A number that changes with the C files, as `setup.py` compiles it into the library."""
    sources = sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])
    return int.from_bytes(hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()[:7], "little")


@lru_cache
def open_code() -> ctypes.CDLL | None:
    """The library with the types of its functions set; its table of the logistic function is not."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = FOLDER / f"_steps{suffix}"
        if not path.exists():
            continue
        code = ctypes.CDLL(str(path))
        if ctypes.c_int64.in_dll(code, "source_version").value == source_version():
            return _typed(code)
    return None


def _typed(code: ctypes.CDLL) -> ctypes.CDLL:
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    for function in (code.best_level, code.run_steps, code.decode_weights, code.order_weights):
        function.restype = number
    code.run_steps.argtypes = [pointer, pointer, number, pointer, pointer, number, number, pointer, number]
    code.decode_weights.argtypes = [ctypes.c_char_p, number, number, pointer, number, pointer]
    code.order_weights.argtypes = [pointer, pointer, pointer]
    return code
