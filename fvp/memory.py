"""The memory of the machine as the NPU and the command line see it: DDR mapped, the rest through QEMU.

    memory = GuestMemory(qemu.ddr, qemu.qtest)
    memory.read(0x93000000, 12)

DDR, where models lie, is shared with QEMU and costs nothing.  The SRAMs, where a firmware has its arena, are inside
QEMU; `fetch` brings a copy and `store` takes back only what has changed.  The CPU must be stopped.
"""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from hil.fvp.qemu import DDR_BASE, DDR_SIZE
from hil.fvp.qtest import Qtest

Bytes = NDArray[np.uint8]

_BLOCK = 64
"""Bytes of the pieces in which changes are looked for."""


class GuestMemory:
    """Physical memory by address."""

    def __init__(self, ddr: mmap.mmap, qtest: Qtest) -> None:
        self._ddr = np.frombuffer(ddr, np.uint8)
        self._qtest = qtest

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`."""
        view = self.view(address, size)
        return self._qtest.read(address, size) if view is None else view.tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        view = self.view(address, len(data))
        if view is None:
            self._qtest.write(address, data)
        else:
            view[:] = np.frombuffer(data, np.uint8)

    def view(self, address: int, size: int) -> Bytes | None:
        """The bytes themselves if they lie in DDR, else None."""
        start = address - DDR_BASE
        return self._ddr[start : start + size] if start >= 0 and start + size <= DDR_SIZE else None

    def fetch(self, address: int, size: int) -> Bytes:
        """The bytes themselves if they lie in DDR, else a copy that `store` takes back."""
        view = self.view(address, size)
        return np.frombuffer(bytearray(self._qtest.read(address, size)), np.uint8) if view is None else view

    def store(self, address: int, before: Bytes, after: Bytes) -> None:
        """Writes what differs between `before` and `after`, both of memory from `address` that is not DDR."""
        for start, end in _differences(before, after):
            self._qtest.write(address + start, after[start:end].tobytes())


def _differences(before: Bytes, after: Bytes) -> list[tuple[int, int]]:
    """Start and end of the runs of blocks in which the two differ."""
    size = len(before)
    padded = -size % _BLOCK
    changed = np.pad(before != after, (0, padded)).reshape(-1, _BLOCK).any(1)
    edges = np.flatnonzero(np.diff(np.pad(changed.astype(np.int8), 1)))
    return [(int(start) * _BLOCK, min(int(end) * _BLOCK, size)) for start, end in edges.reshape(-1, 2)]
