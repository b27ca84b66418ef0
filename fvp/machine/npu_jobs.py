"""The NPU's jobs: each reads a command stream from memory and runs it on that memory.

    jobs = NpuJobs(programs, memory_system, memory)
    timing = jobs.run(job)
    jobs.kept                   # what of them another process can run again (see `kept_jobs`)

Regions in DDR are worked on in place, regions in SRAM on a copy of the pieces that the stream's operations read or
write, of which only the changes go back.

This file stands apart from the registers (`device`) because it needs NumPy: the executable imports it while QEMU starts
and the firmware boots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hil.core.errors import FaultError
from hil.fvp.machine.decoded_streams import Programs
from hil.fvp.machine.kept_jobs import KeptJob, KeptTiming, Span, borrowed_regions, merged, sources_digest
from hil.fvp.machine.memory import GuestMemory
from hil.npu.program import Program
from hil.npu.program_image import program_image
from hil.npu.registers import BusError, NpuJob
from hil.npu.stream.footprint import accesses, written
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import Timing

_MAX_STREAM = 4 << 24
"""Bytes; no stream is longer: a payload counts its words in 24 bits."""


class NpuJobs:
    """Runs the jobs of one NPU, whose cycles `memory_system` makes, on `memory`.

    With `keeps`, `kept` gets what another process needs to run each job again, None where it cannot.
    """

    def __init__(
        self, programs: Programs, memory_system: MemorySystem, memory: GuestMemory, keeps: bool = False
    ) -> None:
        self._programs = programs
        self._memory_system = memory_system
        self._memory = memory
        self._keeps = keeps
        self.kept: dict[NpuJob, KeptJob | None] = {}
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
        timing = self._timing(program, self._memory_system.with_region_ports(ports))
        if self._keeps and job not in self.kept:
            self.kept[job] = self._kept(job, stream, program, timing)
        return timing

    def _kept(self, job: NpuJob, stream: bytes, program: Program, timing: Timing) -> KeptJob | None:
        """Describes `job`, which just ran, for another process to run it again; None if NumPy computes a part of it."""
        found, bases = program_image(program), job.base_pointers
        ranges = _ranges(program, bases)
        if found is None or any(region not in ranges for region, _, _ in found.sources):
            return None
        sources = tuple(merged((bases[region] + start, bases[region] + end) for region, start, end in found.sources))
        changed = merged(_written(program, bases))
        if len(merged([*sources, *changed])) < len(sources) + len(changed):
            return None  # Regions lie over each other.
        return KeptJob(
            stream, bases, job.region_config, ranges, tuple(merged(_touched(program, bases))), sources,
            sources_digest(self._memory, sources), KeptTiming(timing.total, timing.events()), found.image.to_bytes(),
        )  # fmt: skip

    def _timing(self, program: Program, memory: MemorySystem) -> Timing:
        """Timing of `program`; the last job's if that was the same, as one sample after another is."""
        if self._last is None or self._last[0] is not program or self._last[1] != memory:
            self._last = program, memory, cycles(program, memory)
        return self._last[2]

    def _execute(self, program: Program, bases: Sequence[int]) -> None:
        touched = merged(_touched(program, bases))
        with borrowed_regions(self._memory, _ranges(program, bases), touched) as views:
            regions = {region: np.frombuffer(view, np.uint8).reshape(1, -1) for region, view in views.items()}
            if regions:
                program.run(regions)


def _ranges(program: Program, bases: Sequence[int]) -> dict[int, Span]:
    """The addresses of each region that `program` needs."""
    return {
        region: (bases[region], bases[region] + needed.size)
        for region, needed in program.required.items()
        if region < len(bases)
    }


def _touched(program: Program, bases: Sequence[int]) -> Iterator[Span]:
    """The addresses that `program` reads or writes, piece by piece."""
    for operation in program.operations:
        for region, start, end in accesses(operation):
            if region < len(bases):
                yield bases[region] + start, bases[region] + end


def _written(program: Program, bases: Sequence[int]) -> Iterator[Span]:
    """The addresses that `program` writes, piece by piece."""
    for operation in program.operations:
        for region, start, end in written(operation):
            if region < len(bases):
                yield bases[region] + start, bases[region] + end
