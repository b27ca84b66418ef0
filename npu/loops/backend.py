"""Choice of the compute backend: NumPy, or the loops compiled with numba.

Importing numba and its cached code takes about half a second.  NumPy takes about ten nanoseconds per element more than
the compiled loops, and its calls for one operation as long as a few thousand elements.  So a process begins with NumPy
and switches to the compiled loops once it has computed more elements than pay for the import, or if numba is imported
already.  Results are equal bit for bit, so the moment of the switch changes only the speed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

BREAK_EVEN_ELEMENTS = 30_000_000
"""OFM elements computed in this process after which importing the compiled loops is cheaper than NumPy."""


CALL_ELEMENTS = 2_000
"""Cost of NumPy's calls for one operation, in OFM elements."""


@dataclass
class _Meter:
    elements: int = 0
    loops: ModuleType | None = None
    missing: bool = False


_meter = _Meter()


def loops(elements: int) -> ModuleType | None:
    """Counts `elements` as work to be done, and returns `batch_loops` if they pay; None for NumPy, or without numba."""
    if _meter.loops is None and not _meter.missing:
        _meter.elements += elements + CALL_ELEMENTS
        if _meter.elements > BREAK_EVEN_ELEMENTS or "numba" in sys.modules:
            load()
    return _meter.loops


def byte_loops() -> ModuleType | None:
    """Returns the loops for 8-bit operands if they are imported already, else None."""
    found: ModuleType | None = _meter.loops.of_bytes if _meter.loops else None
    return found


def load() -> None:
    """Switches to the compiled loops now, if numba is installed."""
    try:
        from hil.npu.loops import batch_loops
    except ImportError:
        _meter.missing = True
    else:
        _meter.loops = batch_loops


def unload() -> None:
    """Switches back to NumPy and resets the count."""
    _meter.elements, _meter.loops = 0, None
