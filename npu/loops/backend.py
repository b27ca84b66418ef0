"""When compiled loops pay.

Importing numba and its cached code takes about half a second, NumPy about ten nanoseconds an element more than they do,
and its calls for an operation about as long as a few thousand elements.  So a process begins with NumPy, and turns to
the compiled loops once it has computed so much that they would have paid for themselves, or if numba is there already.
Results are the same bit for bit, so when this happens does not matter.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType

BREAK_EVEN_ELEMENTS = 30_000_000
"""Output elements computed in this process after which the compiled loops would have paid for their import."""


CALL_ELEMENTS = 2_000
"""Output elements whose time NumPy's calls for one operation take, however few it has."""


@dataclass
class _Meter:
    elements: int = 0
    loops: ModuleType | None = None
    missing: bool = False


_meter = _Meter()


def loops(elements: int) -> ModuleType | None:
    """The module `loops` if it pays, now that `elements` more are to be computed; None if not, or without numba."""
    if _meter.loops is None and not _meter.missing:
        _meter.elements += elements + CALL_ELEMENTS
        if _meter.elements > BREAK_EVEN_ELEMENTS or "numba" in sys.modules:
            load()
    return _meter.loops


def byte_loops() -> ModuleType | None:
    """The loops for bytes if they are there already."""
    found: ModuleType | None = _meter.loops.of_bytes if _meter.loops else None
    return found


def load() -> None:
    """Turns to the compiled loops now."""
    try:
        _meter.loops = importlib.import_module("hil.npu.loops.batch_loops")
    except ImportError:
        _meter.missing = True


def unload() -> None:
    """Turns back to NumPy, as a process begins."""
    _meter.elements, _meter.loops = 0, None
