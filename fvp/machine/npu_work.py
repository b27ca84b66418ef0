"""The NPU's work on a machine: by the jobs of a kept state where they fit, else decoded and computed here.

    work = NpuWork(line, accelerator, memory, keeps=True)
    work.begin(loaded, found)       # `found`: a kept state, or None
    timing = work.run(job)
    work.jobs()                     # for a state to be kept

NumPy and the decoder are imported in a thread while QEMU starts (`preparation`), and not at all where all jobs of an
earlier run are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hil.core.errors import BadInputError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine.memory import GuestMemory
from hil.fvp.machine.preparation import Preparation
from hil.npu.accelerator import Accelerator
from hil.npu.registers import Events, NpuJob

if TYPE_CHECKING:
    from hil.fvp.machine.kept_jobs import KeptJob, KeptJobs
    from hil.fvp.machine.kept_states import KeptState
    from hil.fvp.machine.npu_jobs import NpuJobs
    from hil.npu.timing.memory_system import MemorySystem


class NpuWork:
    """The jobs of one NPU, whose cycles the memories of `line` make; with `keeps` they are recorded.

    Raises `BadInputError` for a Vela configuration that cannot be read.
    """

    def __init__(self, line: CommandLine, accelerator: Accelerator, memory: GuestMemory, *, keeps: bool) -> None:
        self._accelerator = accelerator
        self._memory = memory
        self._keeps = keeps
        self._line = line
        self._loaded: Sequence[bytes] = ()
        self._kept: KeptJobs | None = None
        self._preparation: Preparation | None = None

    def begin(self, loaded: Sequence[bytes], found: KeptState | None) -> None:
        """Prepares for the models among `loaded`, or for the jobs of `found`."""
        self._loaded = loaded
        if found is not None:
            from hil.fvp.machine.kept_jobs import KeptJobs

            self._kept = KeptJobs(found.jobs, self._memory)
        if found is None or not found.complete:
            self._preparation = Preparation(self._accelerator, loaded)
            _ = self._memory_system  # What is wrong with it is known before the machine runs.

    def run(self, job: NpuJob) -> Events:
        """Does `job`; raises as `NpuJobs.run`."""
        kept = None if self._kept is None else self._kept.run(job)
        return self._computing.run(job) if kept is None else kept

    def jobs(self) -> tuple[tuple[KeptJob, ...], bool]:
        """Returns the jobs that another process can run again, and True if these are all."""
        if "_computing" not in vars(self):
            return (), True
        found = self._computing.kept.values()
        return tuple(job for job in found if job is not None), None not in found

    @cached_property
    def _memory_system(self) -> MemorySystem:
        from hil.npu.timing.memory_system import MemorySystem

        path = self._line.text("open.vela_config")
        try:
            text = Path(path).read_text() if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"the Vela configuration {path} cannot be read: {error}") from None
        return MemorySystem.of(self._line.npu_config(text))

    @cached_property
    def _computing(self) -> NpuJobs:
        from hil.fvp.machine.npu_jobs import NpuJobs

        if self._preparation is None:
            self._preparation = Preparation(self._accelerator, self._loaded)
        return NpuJobs(self._preparation.programs(), self._memory_system, self._memory, self._keeps)
