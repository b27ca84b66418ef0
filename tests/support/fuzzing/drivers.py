"""A driver for the fuzzer: register accesses and the content of the guest's memory, as bytes.

    data = script(accelerator, job(...), contents)          # a seed
    play(data, memory_system)

A script is a number of an accelerator, the number of accesses, eight bytes for each (kind: 0 read, else write; size;
offset; value), and the content of the memory from `BASE` on.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hil.core.errors import FaultError
from hil.fvp.machine.decoded_streams import Programs
from hil.fvp.machine.npu_jobs import NpuJobs
from hil.npu.accelerator import ALL, Accelerator
from hil.npu.registers import BASEP, CMD, QBASE, QSIZE, STATUS, WINDOW, Registers
from hil.npu.timing.memory_system import MemorySystem

BASE, SIZE = 0x6000_0000, 1 << 18
"""The guest's memory."""

_GUARD = 4096
_ACCESS = struct.Struct("<BBHI")
_HEAD = struct.Struct("<BB")
_SIZES = (4, 1, 2, 4)


class _Memory:
    """Memory as `NpuJobs` uses it, between guards."""

    def __init__(self, contents: bytes) -> None:
        self.whole = np.full(_GUARD + SIZE + _GUARD, 0x5A, np.uint8)
        self.inside = self.whole[_GUARD : _GUARD + SIZE]
        self.inside[:] = 0
        self.inside[: len(contents)] = np.frombuffer(contents, np.uint8)[:SIZE]

    def read(self, address: int, size: int) -> bytes:
        return self._piece(address, size).tobytes()

    @contextlib.contextmanager
    def borrowed(self, address: int, size: int, wanted: Sequence[tuple[int, int]]) -> Iterator[NDArray[np.uint8]]:
        yield self._piece(address, size)

    def _piece(self, address: int, size: int) -> NDArray[np.uint8]:
        if not BASE <= address <= address + size <= BASE + SIZE:
            raise FaultError(f"no memory at {address:#x}")
        return self.inside[address - BASE : address - BASE + size]


def script(accelerator: Accelerator, accesses: Sequence[tuple[int, int, int, int]], contents: bytes) -> bytes:
    """Accesses (kind, size, offset, value) as bytes."""
    head = _HEAD.pack(ALL.index(accelerator), len(accesses))
    return head + b"".join(_ACCESS.pack(*access) for access in accesses) + contents


def job(stream: bytes, regions: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Register writes of a driver that runs `stream`, at the start of the memory; `regions` are offsets in it."""
    writes = [(QBASE, BASE), (QBASE + 4, 0), (QSIZE, len(stream))]
    writes += [(register, BASE + offset) for register, offset in zip(BASEP, regions, strict=False)]
    return [(1, 0, offset, value) for offset, value in [*writes, (CMD, 1)]] + [(0, 0, STATUS, 0), (1, 0, CMD, 2)]


def play(data: bytes, memory_system: MemorySystem) -> None:
    """Performs the accesses of a script; raises `FaultError` where a job's address is outside of this memory."""
    data = data.ljust(_HEAD.size, b"\0")
    number, count = _HEAD.unpack_from(data)
    accelerator, count = ALL[number % len(ALL)], min(count, (len(data) - _HEAD.size) // _ACCESS.size)
    memory = _Memory(data[_HEAD.size + _ACCESS.size * count :])
    levels: list[bool] = []
    registers = Registers(accelerator, NpuJobs(Programs(accelerator), memory_system, memory).run, levels.append)
    try:
        for index in range(count):
            kind, size, offset, value = _ACCESS.unpack_from(data, _HEAD.size + _ACCESS.size * index)
            size, offset = _SIZES[size & 3], offset % WINDOW
            if kind:
                registers.write(offset, size, value & ((1 << 8 * size) - 1))
            else:
                assert 0 <= registers.read(offset, size) < 1 << 8 * size, "a register has more bits than were read"
    finally:
        assert (memory.whole[:_GUARD] == 0x5A).all(), "written below the memory"
        assert (memory.whole[_GUARD + SIZE :] == 0x5A).all(), "written above the memory"
        assert all(one != other for one, other in pairwise(levels)), "an edge that is none"
