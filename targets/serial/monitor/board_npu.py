"""A model's NPU operators on a board: memory goes up, jobs run, memory comes down.

    from hil.targets.execution.graph import State, read_graph

    graph = read_graph(compiled)
    npu = BoardNpu(link, layout, npu_steps(graph), limit_ms=10_000)
    npu.upload()                                       # weights and streams, unless they are there
    graph.run([x], State(), device=npu)                # x: (1, ...)
    npu.measure(events)                                # a job an operator, in order: counts of one inference

Only what has changed in the arena goes up, and only what is read comes down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ethosu.vela.ethos_u55_regs.ethos_u55_regs import id_r, status_r

from hil.core.arrays import Array
from hil.core.errors import BadInputError, CounterError, InfrastructureError, JobError, StuckError
from hil.npu.accelerator import ConfigRegister
from hil.npu.stream.payload import parse_id
from hil.npu.vela_output import BoundOperator
from hil.targets.execution.graph import Graph, NpuDevice
from hil.targets.link import Identity, Job, JobResult, Link, Outcome
from hil.targets.serial.monitor.memory_layout import Block, ModelLayout, npu_steps

_STATUS = {
    "bus error": status_r.get_bus_status,
    "in reset": status_r.get_reset_status,
    "the stream cannot be parsed": status_r.get_cmd_parse_error,
    "the stream's end was reached": status_r.get_cmd_end_reached,
    "fault in the weights' decoder": status_r.get_wd_fault,
    "ECC fault": status_r.get_ecc_fault,
    "interrupt raised": status_r.get_irq_raised,
    "PMU overflow": status_r.get_pmu_irq_raised,
    "running": status_r.get_state,
}
"""Bits of the NPU's STATUS, by Vela's `ethos_u55_regs`."""

_OUTCOMES = {
    Outcome.TIME_LIMIT: "did not end within its time",
    Outcome.NPU_BUS_FAULT: "met a bus fault",
    Outcome.NPU_PARSE_ERROR: "met a command that it cannot parse",
    Outcome.NPU_OTHER_FAULT: "met a fault",
    Outcome.NPU_STUCK: "does not come out of its reset",
    Outcome.CPU_FAULT: "could not be reached: the CPU met a fault",
}


_SCRUBBED = 0xA5


@dataclass(frozen=True)
class Counts:
    """One inference, NPU operators alone: NPU `cycles`, PMU `events` as asked for, `ticks` of the board's timer.

    `wrapped` are the places in `events` whose counter wrapped, or may have.
    """

    cycles: int
    events: tuple[int, ...]
    ticks: int
    wrapped: frozenset[int] = frozenset()

    @classmethod
    def of(cls, results: Sequence[JobResult], events: Sequence[int]) -> Counts:
        """Sums the jobs of an inference, which counted `events`; raises `CounterError` if the cycle counter wrapped."""
        if any(result.cycles_wrapped for result in results):
            raise CounterError("the NPU's cycle counter of 48 bits overflowed in a job")
        counted = zip(*(result.events[: len(events)] for result in results), strict=True)
        places = range(len(events))
        return cls(
            sum(result.cycles for result in results),
            tuple(sum(values) for values in counted),
            sum(result.ticks for result in results),
            frozenset(place for place in places if any(result.may_have_wrapped(place) for result in results)),
        )


class BoardNpu:
    """Runs NPU operators (`steps`) with a memory `layout` on a board; `limit_ms` is the time limit of one."""

    def __init__(self, link: Link, layout: ModelLayout, steps: Sequence[BoundOperator], limit_ms: int) -> None:
        self._link = link
        self._layout = layout
        self._steps = steps
        self._numbers = {step.operator.index: number for number, step in enumerate(steps)}
        self._limit_ms = limit_ms

    def upload(self) -> None:
        """Writes weights and streams to the board."""
        for block in self._layout.blocks:
            self._link.write(block.address, block.data)

    def __call__(self, step: BoundOperator, arena: Array, changed: Sequence[range], wanted: Sequence[range]) -> None:
        """Runs an operator on the board, as `graph.NpuDevice`."""
        self._counted(step, arena, changed, wanted, ())

    def counting(self, events: tuple[int, ...], results: list[JobResult]) -> NpuDevice:
        """This NPU as a `graph.NpuDevice` that counts `events` and appends the result of each job to `results`."""

        def run(step: BoundOperator, arena: Array, changed: Sequence[range], wanted: Sequence[range]) -> None:
            results.append(self._counted(step, arena, changed, wanted, events))

        return run

    def cut(self, step: BoundOperator, arena: Array, changed: Sequence[range], wanted: Sequence[range]) -> None:
        """Runs an operator piece by piece, as `graph.NpuDevice`."""
        self._write(arena, changed)
        self._run_pieces(step)
        self._read(arena, wanted)

    def _counted(
        self,
        step: BoundOperator,
        arena: Array,
        changed: Sequence[range],
        wanted: Sequence[range],
        events: tuple[int, ...],
    ) -> JobResult:
        self._write(arena, changed)
        result = self._run(step, events)
        self._read(arena, wanted)
        return result

    def _write(self, arena: Array, changed: Sequence[range]) -> None:
        for piece in changed:
            self._link.write(self._layout.arena + piece.start, arena[0, piece.start : piece.stop].tobytes())

    def _read(self, arena: Array, wanted: Sequence[range]) -> None:
        for piece in wanted:
            data = self._link.read(self._layout.arena + piece.start, len(piece))
            arena[0, piece.start : piece.stop] = np.frombuffer(data, np.uint8)

    def scrub(self) -> None:
        """Overwrites arena and fast memory, so that nothing there is left of an earlier run."""
        layout = self._layout
        self._link.write(layout.arena, bytes([_SCRUBBED]) * layout.arena_bytes)
        if layout.fast is not None:
            self._link.write(layout.fast, bytes([_SCRUBBED]) * max(step.fast_bytes for step in self._steps))

    def measure(self, events: tuple[int, ...]) -> Counts:
        """Runs all operators once on the present content of the arena, on which their time does not depend."""
        return Counts.of([self._run(step, events) for step in self._steps], events)

    def measure_pieces(self) -> tuple[tuple[int, ...], ...]:
        """Runs all operators once, piece by piece, on what is in the arena; returns cycles by operator and piece."""
        return tuple(self._run_pieces(step) for step in self._steps)

    def measure_start(self) -> int:
        """Cycles of a job without an operation."""
        assert self._layout.idle is not None, "there are pieces"
        return Counts.of([self._run_stream(self._steps[0], self._layout.idle, "an empty command stream")], ()).cycles

    def _run_pieces(self, step: BoundOperator) -> tuple[int, ...]:
        number = self._numbers[step.operator.index]
        what = f"of command stream {number}"
        pieces = enumerate(self._layout.pieces[number])
        results = [self._run_stream(step, block, f"piece {place} {what}") for place, block in pieces]
        return tuple(Counts.of([result], ()).cycles for result in results)

    def _run(self, step: BoundOperator, events: tuple[int, ...]) -> JobResult:
        number = self._numbers[step.operator.index]
        return self._run_stream(step, self._layout.streams[number], f"command stream {number}", events)

    def _run_stream(self, step: BoundOperator, stream: Block, what: str, events: tuple[int, ...] = ()) -> JobResult:
        result = self._link.run(
            Job(
                stream_address=stream.address,
                stream_bytes=len(stream.data),
                bases=self._layout.bases(step),
                region_config=self._layout.region_config,
                qconfig=self._layout.queue_config,
                events=events,
                limit_ms=self._limit_ms,
            )
        )
        if result.outcome is not Outcome.DONE or result.qread != len(stream.data):
            raise _failure(result, what, len(stream.data), self._limit_ms)
        return result


def _failure(result: JobResult, what: str, size: int, limit_ms: int) -> InfrastructureError:
    """Words for the end of a failed job."""
    if result.outcome is Outcome.DONE:
        message = f"the NPU ended {what} after {result.qread} of its {size} bytes"
        return JobError(f"{message}; STATUS {status_words(result.npu_status)}")
    message = f"the NPU {_OUTCOMES.get(result.outcome, result.outcome.name)} in {what}"
    if result.outcome is Outcome.CPU_FAULT:
        fault = f"address {result.fault_address:#010x}, CFSR {result.fault_status:#010x}, PC {result.fault_pc:#010x}"
        return JobError(f"{message} ({fault})")
    details = f"STATUS {status_words(result.npu_status)}; byte {result.qread} of {size}"
    if result.outcome is Outcome.NPU_STUCK:
        return StuckError(f"{message} ({details})")
    limit = f" of {limit_ms} ms" if result.outcome is Outcome.TIME_LIMIT else ""
    return JobError(f"{message}{limit} ({details})")


def status_words(word: int) -> str:
    """The NPU's STATUS register in words."""
    status = status_r()
    status.word = word
    told = [text for text, bit in _STATUS.items() if bit(status)]
    if status.get_bus_status():
        told.append(f"on AXI port {int(status.get_faulting_interface())}, channel {int(status.get_faulting_channel())}")
    return f"{word:#010x}: {', '.join(told) or 'nothing'}"


def check_npu(graph: Graph, identity: Identity, board: str) -> None:
    """Raises `BadInputError` unless the board's NPU is the one that each of the graph's streams was compiled for."""
    if not identity.npu_config:
        raise BadInputError(f"{board} has no NPU", hint="another board, or a firmware for this one")
    for step in npu_steps(graph):
        found = ConfigRegister.from_word(identity.npu_config)
        if found != ConfigRegister.from_word(step.accelerator.config_word):
            has = f"{found.name}, {found.shram_kib} KiB of SHRAM (CONFIG {identity.npu_config:#010x})"
            raise BadInputError(
                f"the model was compiled for {step.accelerator.name}, {board} has {has}; nothing was written to it",
                hint="compile it for that with --accelerator, or take another board",
            )
        stream = graph.model.main.tensors[step.operator.command_stream].data
        ours, theirs = _architecture(parse_id(b"" if stream is None else stream)), _architecture(identity.npu_id)
        if theirs[0] != ours[0] or theirs < ours:
            versions = [".".join(map(str, version)) for version in (ours, theirs)]
            raise BadInputError(
                f"the model was compiled for NPU architecture {versions[0]}, {board} has {versions[1]}; "
                "nothing was written to it"
            )


def _architecture(word: int) -> tuple[int, int, int]:
    found = id_r()
    found.word = word
    return int(found.get_arch_major_rev()), int(found.get_arch_minor_rev()), int(found.get_arch_patch_rev())
