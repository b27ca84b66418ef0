"""Modelled cost of a model under one setting of Vela: cycles, memory, and the operators left to the CPU.

    cost = modelled_cost(int8, VelaSettings("ethos-u55-256"), "resnet8.tflite")
    cost.cycles, cost.sram_bytes, cost.read_only_bytes

Several at a time (`costs`) have a process of Vela's each, and come as they are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import SimpleQueue

from hil.core.cores import usable_cores
from hil.core.errors import BadInputError, CompileError
from hil.harness.profile.layer_rows import constants_in_sram
from hil.harness.profile.modelled_cycles import modelled_cycles
from hil.harness.vela.compiler import AskVela, VelaProcess, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.timing.memory_system import MemorySystem


@dataclass(frozen=True)
class ModelledCost:
    """Cycles (modelled) and bytes (exact, by Vela) of one inference; `cpu_operators` run elsewhere.

    `read_only_bytes` are weights, scales and tables; they are part of SRAM, flash or DRAM, as the memory mode has it.
    """

    cycles: int
    clock_hz: float
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    read_only_bytes: int
    cpu_operators: int

    @property
    def ms(self) -> float:
        """Time of the NPU's part in milliseconds."""
        return 1e3 * self.cycles / self.clock_hz


@dataclass(frozen=True)
class Setting:
    """An int8 model and the settings to compile it with."""

    int8: bytes
    settings: VelaSettings


Outcome = ModelledCost | str
"""A cost, or the reason for which there is none."""


def modelled_cost(int8: bytes, settings: VelaSettings, name: str, ask: AskVela | None = None) -> ModelledCost:
    """Compiles, by `ask`, and models; raises as `hil.harness.vela.compiler.compile_model`."""
    compiled = compile_model(int8, settings, name=name, ask=ask, mapped=False)
    summary, in_sram = compiled.summary, constants_in_sram(MemorySystem.of(settings))
    return ModelledCost(
        modelled_cycles(compiled.model, settings),
        summary.clock_hz,
        summary.sram_bytes + in_sram * summary.read_only_bytes,
        summary.dram_bytes,
        0 if in_sram else summary.on_chip_flash_bytes + summary.off_chip_flash_bytes,
        summary.read_only_bytes,
        len(summary.cpu_operators),
    )


def costs(wanted: Sequence[Setting], name: str, jobs: int = 0) -> Iterator[tuple[int, Outcome]]:
    """Yields the place of each of `wanted` and its outcome, in the order in which they are done.

    `jobs` processes of Vela work at a time, by default one for each core.
    """
    processes: SimpleQueue[VelaProcess] = SimpleQueue()
    made = [VelaProcess() for _ in range(min(jobs or usable_cores(), len(wanted)))]
    for process in made:
        processes.put(process)

    def model(one: Setting) -> Outcome:
        process = processes.get()
        try:
            return modelled_cost(one.int8, one.settings, name, process.ask)
        except (BadInputError, CompileError) as error:
            return str(error.args[0])
        finally:
            processes.put(process)

    pool = ThreadPoolExecutor(max(1, len(made)))
    try:
        places: dict[Future[Outcome], int] = {pool.submit(model, one): place for place, one in enumerate(wanted)}
        for done in as_completed(places):
            yield places[done], done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in made:
            process.close()
