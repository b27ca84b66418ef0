"""The NPU's jobs: each reads a command stream from memory and runs it on that memory.

    jobs = NpuJobs(programs, memory_system, memory)
    timing = jobs.run(job)

Regions in DDR are worked on in place, regions in SRAM on a copy of the pieces that the stream's operations read or
write, of which only the changes go back.

This file stands apart from the registers (`device`) because it needs NumPy: the executable imports it while QEMU starts
and the firmware boots.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from hil.core.arrays import Bytes
from hil.core.errors import FaultError
from hil.fvp.machine.decoded_streams import Programs
from hil.fvp.machine.memory import GuestMemory
from hil.npu.program import Program
from hil.npu.registers import BusError, NpuJob
from hil.npu.stream.footprint import accesses
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import Timing

_MAX_STREAM = 4 << 24
"""Bytes; no stream is longer: a payload counts its words in 24 bits."""


class NpuJobs:
    """Runs the jobs of one NPU, whose cycles `memory_system` makes, on `memory`."""

    def __init__(self, programs: Programs, memory_system: MemorySystem, memory: GuestMemory) -> None:
        self._programs = programs
        self._memory_system = memory_system
        self._memory = memory
        self._last: tuple[Program, MemorySystem, Timing] | None = None

    def run(self, job: NpuJob) -> Timing:
        """Does `job`; raises `StreamError`, and `BusError` for a stream that cannot be fetched.

        Raises `FaultError` if this machine has not the memory that the job would need.
        """
        if job.queue_bytes % 4 or not 0 < job.queue_bytes <= _MAX_STREAM:
            raise BusError(f"a command stream of {job.queue_bytes} bytes")
        try:
            stream = self._memory.read(job.queue_address, job.queue_bytes)
            program = self._programs.find(stream, job.base_pointers)
            self._execute(program, job.base_pointers)
        except MemoryError:
            raise FaultError("the NPU was given a job for which this machine has not enough memory") from None
        ports = {region: job.port(region) for region in range(len(job.base_pointers))}
        return self._timing(program, self._memory_system.with_region_ports(ports))

    def _timing(self, program: Program, memory: MemorySystem) -> Timing:
        """Timing of `program`; the last job's if that was the same, as one sample after another is."""
        if self._last is None or self._last[0] is not program or self._last[1] != memory:
            self._last = program, memory, cycles(program, memory)
        return self._last[2]

    def _execute(self, program: Program, bases: Sequence[int]) -> None:
        ranges = {
            region: (bases[region], bases[region] + needed.size)
            for region, needed in program.required.items()
            if region < len(bases)
        }
        with contextlib.ExitStack() as stack:
            touched = _merged(_touched(program, bases))
            spans = []
            for low, high in _merged(ranges.values()):
                pieces = [piece for piece in touched if low <= piece[0] < high]
                spans.append((low, high, stack.enter_context(self._memory.borrowed(low, high - low, pieces))))
            regions: dict[int, Bytes] = {}
            for region, (start, end) in ranges.items():
                low, data = next((low, data) for low, high, data in spans if low <= start and end <= high)
                regions[region] = data[start - low : end - low].reshape(1, -1)
            if regions:
                program.run(regions)


def _touched(program: Program, bases: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The addresses that `program` reads or writes, piece by piece."""
    for operation in program.operations:
        for region, start, end in accesses(operation):
            if region < len(bases):
                yield bases[region] + start, bases[region] + end


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`ranges` (start, end) with those that overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
