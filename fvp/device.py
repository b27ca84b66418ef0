"""The Ethos-U55 on the machine's bus: its registers' window, its interrupt, and its way to memory.

    device = Device(accelerator, memory_system, memory, irq)
    device.serve(access, registers)         # does one load or store of the CPU; gives the registers it changes

The driver writes where the command stream and the eight memory regions lie, and starts the NPU.  The stream is read
from memory, decoded, and run on the memory itself: regions in DDR in place, regions in SRAM on a copy of what the
stream reaches, of which only the changes go back.

Register window and interrupt: secure 0x5810_2000, non-secure 0x4810_2000, interrupt 56 = expansion interrupt 24 of the
SSE-300 (Arm's ml-embedded-evaluation-kit).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hil.fvp.access import PC, Access
from hil.fvp.errors import FaultError
from hil.fvp.memory import GuestMemory
from hil.npu.accelerator import Accelerator
from hil.npu.memory_system import MemorySystem
from hil.npu.program import Program, decode
from hil.npu.registers import WINDOW, BusError, Job, Registers
from hil.npu.timing import Timing, cycles

WINDOWS = (0x5810_2000, 0x4810_2000)
"""Where the registers are: the secure address and the other."""

INTERRUPT = 24
"""Expansion interrupt of the NPU."""

_MAX_STREAM = 1 << 24
"""Bytes; no stream is longer (Vela's own limit)."""

Bytes = NDArray[np.uint8]


class Device:
    """One NPU.  `accesses` counts what the CPU asked of its registers, `jobs` the streams it ran."""

    def __init__(
        self,
        accelerator: Accelerator,
        memory_system: MemorySystem,
        memory: GuestMemory,
        irq: Callable[[bool], None],
    ) -> None:
        self.accesses = self.jobs = 0
        self._memory = memory
        self._memory_system = memory_system
        self._registers = Registers(accelerator, self._run, irq)
        self._programs: dict[bytes, Program] = {}

    def serve(self, access: Access, registers: Sequence[int]) -> dict[int, int]:
        """Does `access`; gives the CPU registers that it changes, PC included.

        Raises `FaultError` if it does not reach the registers, or the NPU met an error in what it was to run.
        """
        self.accesses += 1
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
        return changed

    @staticmethod
    def _offset(address: int, pc: int) -> int:
        for window in WINDOWS:
            if window <= address < window + WINDOW:
                return address - window
        raise FaultError(f"the instruction at {pc:#010x} reaches {address:#010x}, beyond the NPU's registers")

    def _run(self, job: Job) -> Timing:
        self.jobs += 1
        if job.queue_bytes % 4 or not 0 < job.queue_bytes <= _MAX_STREAM:
            raise BusError(f"a command stream of {job.queue_bytes} bytes")
        program = self._program(self._memory.read(job.queue_address, job.queue_bytes), job)
        self._execute(program, job.base_pointers)
        return cycles(program, self._memory_system)

    def _program(self, stream: bytes, job: Job) -> Program:
        """The decoded stream; kept, as a firmware runs the same one again and again."""
        aliases = {
            region: job.base_pointers.index(base)
            for region, base in enumerate(job.base_pointers)
            if job.base_pointers.index(base) < region
        }
        key = hashlib.sha256(stream + repr(aliases).encode()).digest()
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
        spans = [_Span(self._memory, start, end) for start, end in _merged(ranges.values())]
        regions: dict[int, Bytes] = {}
        for region, (start, end) in ranges.items():
            span = next(span for span in spans if span.start <= start and end <= span.end)
            regions[region] = span.data[start - span.start : end - span.start].reshape(1, -1)
        if regions:
            program.run(regions)
        for span in spans:
            span.store()


class _Span:
    """Memory from `start` up to `end`: the bytes themselves, or a copy of which `store` takes the changes back."""

    def __init__(self, memory: GuestMemory, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._memory = memory
        self.data = memory.fetch(start, end - start)
        self._before = self.data.copy() if memory.view(start, end - start) is None else None

    def store(self) -> None:
        if self._before is not None:
            self._memory.store(self.start, self._before, self.data)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`ranges` (start, end) with those that overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
