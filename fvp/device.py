"""The Ethos-U55 on the machine's bus: its registers' window, its interrupt, and its way to memory.

    device = Device(128, memory_system, memory, irq)
    device.serve(code, registers, xpsr)     # does one load or store of the CPU; gives the registers it changes

The driver writes where the command stream and the eight memory regions lie, and starts the NPU.  The stream is read
from memory, decoded, and run on the memory itself: regions in DDR in place, regions in SRAM on a copy of what the
stream reaches, of which only the changes go back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hil.fvp.access import decode as decode_access
from hil.fvp.access import next_xpsr
from hil.fvp.errors import FaultError
from hil.fvp.gdb import PC
from hil.fvp.memory import GuestMemory
from hil.fvp.qemu import NPU_WINDOW, NPU_WINDOWS
from hil.npu.accelerator import Accelerator
from hil.npu.memory_system import MemorySystem
from hil.npu.program import Program, decode
from hil.npu.registers import BusError, Job, Registers
from hil.npu.timing import Timing, cycles

_MAX_STREAM = 4 << 24
"""Bytes; no stream is longer: a payload counts its words in 24 bits."""

Bytes = NDArray[np.uint8]


class Device:
    """One NPU of `macs` MAC units; `irq` is told the level of its interrupt line."""

    def __init__(
        self, macs: int, memory_system: MemorySystem, memory: GuestMemory, irq: Callable[[bool], None]
    ) -> None:
        self._memory = memory
        self._memory_system = memory_system
        self._registers = Registers(Accelerator.from_name(f"ethos-u55-{macs}"), self._run, irq)
        self._programs: dict[tuple[bytes, tuple[tuple[int, int], ...]], Program] = {}

    def serve(self, code: bytes, registers: Sequence[int], xpsr: int) -> tuple[dict[int, int], int | None]:
        """Does the load or store `code` (4 bytes from PC) of a CPU with `registers` (r0 to r15) and `xpsr`.

        Gives the registers that it changes, PC included, and xPSR if it changes.  Raises `FaultError` if it does not
        reach the NPU's registers, or the NPU met an error in what it was to run.
        """
        access = decode_access(code)
        address = access.address(registers)
        changed: dict[int, int] = {}
        for index, register in enumerate(access.registers):
            offset = self._offset(address + index * access.width, registers[PC])
            if access.is_load:
                changed[register] = access.loaded(self._registers.read(offset, access.width))
            else:
                self._registers.write(offset, access.width, registers[register])
        if self._registers.fault is not None:
            raise FaultError(f"the NPU met an error: {self._registers.fault}")
        base = access.written_base(registers)
        if base is not None:
            changed[access.base] = base
        changed[PC] = registers[PC] + access.size
        after = next_xpsr(xpsr)
        return changed, None if after == xpsr else after

    @staticmethod
    def _offset(address: int, pc: int) -> int:
        for window in NPU_WINDOWS:
            if window <= address < window + NPU_WINDOW:
                return address - window
        raise FaultError(f"the instruction at {pc:#010x} reaches {address:#010x}, beyond the NPU's registers")

    def _run(self, job: Job) -> Timing:
        if job.queue_bytes % 4 or not 0 < job.queue_bytes <= _MAX_STREAM:
            raise BusError(f"a command stream of {job.queue_bytes} bytes")
        program = self._program(self._memory.read(job.queue_address, job.queue_bytes), job)
        self._execute(program, job.base_pointers)
        ports = {region: job.port(region) for region in range(len(job.base_pointers))}
        return cycles(program, self._memory_system.with_region_ports(ports))

    def _program(self, stream: bytes, job: Job) -> Program:
        """The decoded stream; kept, as a firmware runs the same one again and again."""
        aliases = {
            region: job.base_pointers.index(base)
            for region, base in enumerate(job.base_pointers)
            if job.base_pointers.index(base) < region
        }
        key = stream, tuple(aliases.items())
        if key not in self._programs:
            words = np.frombuffer(stream, "<u4").astype(np.uint32)
            self._programs[key] = decode(words, self._registers.accelerator, {}, aliases)
        return self._programs[key]

    def _execute(self, program: Program, bases: Sequence[int]) -> None:
        ranges = {
            region: (bases[region], bases[region] + needed.size)
            for region, needed in program.required.items()
            if region < len(bases)
        }
        with contextlib.ExitStack() as stack:
            spans = [
                (start, end, stack.enter_context(self._memory.borrowed(start, end - start)))
                for start, end in _merged(ranges.values())
            ]
            regions: dict[int, Bytes] = {}
            for region, (start, end) in ranges.items():
                low, data = next((low, data) for low, high, data in spans if low <= start and end <= high)
                regions[region] = data[start - low : end - low].reshape(1, -1)
            if regions:
                program.run(regions)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`ranges` (start, end) with those that overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
