"""Timing model: cycles and AXI traffic of a program, from its command stream.

    from hil.core.npu_config import NpuConfig

    timing = cycles(program, MemorySystem.of(NpuConfig()))
    timing.total, timing.axi0_read_beats

This is a model, not a measurement: callers label its numbers "modelled".

Block operations (`operation_cycles`) run one after the other.  One that reads what the one before it wrote waits for
the last block of that (`drain`); otherwise the two overlap, and the first block of its IFM is read while the one before
still computes, as far as that leaves the ports free: SHRAM holds the IFM blocks of two.  The command stream is read
through the port of the constants.  DMAs run in parallel to block operations, one after the other, and share their
ports.  DMA_WAIT waits for DMAs, KERNEL_WAIT for block operations.

`python -m benchmarks.timing_error` compares it with published figures of Arm's FVP; docs/npu.md has the table.  Vela
calls its estimate approximate and the FVP its NPU "cycle approximate"; nothing here was compared with silicon.
"""

from __future__ import annotations

from dataclasses import replace

from hil.npu.accelerator import Accelerator
from hil.npu.program import Program
from hil.npu.stream.operations import BlockOperation, Dma, Elementwise, Kind, Operation, Wait
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.operation_cycles import COMMAND_REGION, beside, block_operation, dma
from hil.npu.timing.timing import OperationTiming, Timing
from hil.npu.timing.traffic import linear


def cycles(program: Program, memory: MemorySystem) -> Timing:
    """Models one inference of `program` with the memories `memory`."""
    memory = memory.with_beat_bytes(program.accelerator.beat_bytes)
    schedule = _Schedule(program.accelerator, memory)
    for operation in program.operations:
        if isinstance(operation, Wait):
            schedule.wait(operation)
        elif isinstance(operation, Dma):
            schedule.copy(operation)
        elif isinstance(operation, BlockOperation):
            schedule.queue(operation)
    total, timings = schedule.end(), schedule.timings()
    reads = [sum(t.read_beats[port] for t in timings) for port in (0, 1)]
    writes = [sum(t.write_beats[port] for t in timings) for port in (0, 1)]
    read_bursts = [sum(t.read_bursts[port] for t in timings) for port in (0, 1)]
    write_bursts = [sum(t.write_bursts[port] for t in timings) for port in (0, 1)]
    stream = linear(COMMAND_REGION, program.stream_words * 4, memory.beat_bytes)
    reads[memory.port_number(COMMAND_REGION)] += stream.beats
    read_bursts[memory.port_number(COMMAND_REGION)] += stream.bursts
    bursts = (read_bursts[0], read_bursts[1]), (write_bursts[0], write_bursts[1])
    return Timing(total, total, 0, reads[0], writes[0], reads[1], writes[1], timings, *bursts)


class _Schedule:
    """Start and end of each operation, whose commands come in the order of the stream.

    A DMA's are known with its command.  A block operation is queued and timed when a wait needs its end, or at the end
    of the stream: then all DMAs that run beside it are known, as later ones start after that wait.
    """

    def __init__(self, accelerator: Accelerator, memory: MemorySystem) -> None:
        self._accelerator = accelerator
        self._memory = memory
        self._issue = 0
        """Cycle from which on the next command can start, after the waits so far."""
        self._fetched = 0
        """Word of the stream up to which DMAs have brought the commands."""
        self._dmas: list[OperationTiming] = []
        self._over = 0
        """Number of DMAs that have ended before the last block operation began."""
        self._blocks: list[OperationTiming] = []
        self._queue: list[tuple[BlockOperation, int]] = []

    def wait(self, operation: Wait) -> None:
        """Waits until at most `operation.outstanding` DMAs or block operations are unfinished."""
        if operation.kind is not Kind.DMA_WAIT:
            self._run()
        timings = self._dmas if operation.kind is Kind.DMA_WAIT else self._blocks
        if len(timings) > operation.outstanding:
            last = timings[-1 - operation.outstanding]
            self._issue = max(self._issue, last.end + last.drain)

    def copy(self, operation: Dma) -> None:
        """Starts a DMA."""
        start = max(self._issue, self._dmas[-1].end if self._dmas else 0)
        self._dmas.append(dma(operation, self._memory, start, 4 * (operation.word_offset - self._fetched)))
        self._fetched = operation.word_offset

    def queue(self, operation: BlockOperation) -> None:
        """Queues a block operation behind those before it."""
        self._queue.append((operation, self._issue))

    def end(self) -> int:
        """Cycle at which all is done."""
        self._run()
        ends = [last.end + last.drain for last in (*self._dmas[-1:], *self._blocks[-1:])]
        return max(self._issue, *ends, 0)

    def timings(self) -> tuple[OperationTiming, ...]:
        """Timings of all operations in the order of the stream."""
        return tuple(sorted((*self._dmas, *self._blocks), key=lambda timing: timing.operation.word_offset))

    def _run(self) -> None:
        for operation, issue in self._queue:
            timing = self._alone(operation, issue)
            while self._over < len(self._dmas) and self._dmas[self._over].end <= timing.start:
                self._over += 1
            self._blocks.append(beside(timing, self._dmas, self._over, self._memory))
        self._queue.clear()

    def _alone(self, operation: BlockOperation, issue: int) -> OperationTiming:
        """Timing of an operation that may start at `issue`, behind the one before it."""
        if not self._blocks:
            return block_operation(operation, self._accelerator, self._memory, issue)
        before = self._blocks[-1]
        waits = _waits(operation, before.operation)
        start = max(issue, before.end + (before.drain if waits else 0))
        timing = block_operation(operation, self._accelerator, self._memory, start)
        ahead = 0 if waits else min(timing.fill, _idle(before, issue))
        return replace(timing, fill=timing.fill - ahead, end=timing.end - ahead) if ahead else timing


def _idle(before: OperationTiming, issue: int) -> int:
    """Cycles from `issue` on in which `before` computes and leaves the ports to the operation behind it."""
    return max(0, min(before.end - issue, before.compute - before.transfer))


def _waits(operation: BlockOperation, before: Operation) -> bool:
    """True if `operation` starts when `before` is done: it reads the OFM of that, or BLOCKDEP is 0."""
    return operation.blockdep == 0 or _reads_output(operation, before)


def _reads_output(operation: BlockOperation, previous: Operation) -> bool:
    """True if an IFM of `operation` shares bytes with the OFM of `previous`."""
    if not isinstance(previous, BlockOperation):
        return False
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    low, high = previous.ofm.extent()
    for feature_map in (operation.ifm, second):
        if feature_map is not None and feature_map.region == previous.ofm.region:
            start, end = feature_map.extent()
            if start < high and low < end:
                return True
    return False
