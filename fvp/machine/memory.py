"""The memory of the machine as the NPU and the command line see it: DDR mapped, the rest through QEMU.

    memory = GuestMemory(ddr, qtest)
    memory.read(0x93000000, 12)
    with memory.borrowed(0x31000000, 1000, touched=[(0x31000000, 0x310003E8)]) as data:
        data[0] = 1

DDR, where models lie, is shared with QEMU and costs nothing.  The SRAMs, where a firmware has its arena, are inside
QEMU: what is borrowed of them is a copy, of which only what has changed goes back.  The CPU must be stopped.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence

from hil.core.errors import FaultError
from hil.fvp.machine.gdb import Gdb
from hil.fvp.machine.qemu import DDR_BASE, DDR_SIZE
from hil.fvp.machine.qtest import Qtest

LARGEST_SRAM = 1 << 24
"""Bytes that no memory beside DDR has."""

_BLOCK = 1 << 10
"""Bytes of the pieces in which changes are looked for."""


class GuestMemory:
    """Physical memory by address."""

    def __init__(self, ddr: mmap.mmap, qtest: Qtest) -> None:
        self._ddr = memoryview(ddr)
        self._qtest = qtest

    @staticmethod
    def is_mapped(address: int, size: int) -> bool:
        """True if all `size` bytes from `address` lie in DDR."""
        return address >= DDR_BASE and address + size <= DDR_BASE + DDR_SIZE

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`; raises `FaultError` for more than there is anywhere but in DDR."""
        if self.is_mapped(address, size):
            return bytes(self._mapped(address, size))
        if size > LARGEST_SRAM:
            raise FaultError(f"there is no memory of {size} bytes at {address:#010x}")
        return self._qtest.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        if self.is_mapped(address, len(data)):
            self._mapped(address, len(data))[:] = data
        else:
            self._qtest.write(address, data)

    @contextlib.contextmanager
    def borrowed(self, address: int, size: int, touched: Sequence[tuple[int, int]]) -> Iterator[memoryview]:
        """`size` bytes to work on; what was changed is in memory when the `with` ends without an error.

        Of what is not mapped, only the `touched` pieces (addresses of the first byte and of that behind the last) hold
        what memory holds, and only they may be changed.
        """
        if self.is_mapped(address, size):
            yield self._mapped(address, size)
            return
        pieces = [(start - address, end - address) for start, end in touched]
        if sum(end - start for start, end in pieces) > LARGEST_SRAM:
            raise FaultError(f"there is no memory of {size} bytes at {address:#010x}")
        after = memoryview(bytearray(size))
        before = [self._qtest.read(address + start, end - start) for start, end in pieces]
        for (start, end), piece in zip(pieces, before, strict=True):
            after[start:end] = piece
        yield after
        for (start, end), piece in zip(pieces, before, strict=True):
            for low, high in _differences(piece, bytes(after[start:end])):
                self._qtest.write(address + start + low, bytes(after[start + low : start + high]))

    def _mapped(self, address: int, size: int) -> memoryview:
        return self._ddr[address - DDR_BASE : address - DDR_BASE + size]


class CpuView:
    """Memory as the CPU sees it: DDR mapped, which is the same to every bus, the rest through the debugger."""

    def __init__(self, memory: GuestMemory, gdb: Gdb) -> None:
        self._memory = memory
        self._gdb = gdb

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`."""
        mapped = self._memory.is_mapped(address, size)
        return self._memory.read(address, size) if mapped else self._gdb.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        mapped = self._memory.is_mapped(address, len(data))
        (self._memory if mapped else self._gdb).write(address, data)


def _differences(before: bytes, after: bytes) -> list[tuple[int, int]]:
    """Start and end of the runs of blocks in which the two differ."""
    found: list[tuple[int, int]] = []
    for low in range(0, len(before), _BLOCK):
        high = min(low + _BLOCK, len(before))
        if before[low:high] != after[low:high]:
            joins = found and found[-1][1] == low
            found[-1:] = [(found[-1][0], high)] if joins else [*found[-1:], (low, high)]
    return found
