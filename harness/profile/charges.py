"""Charges: the cycles of a timeline, each charged to one operation, so that they add up to the total.

    for charge in charges(timing, accelerator, memory):
        charge.number, charge.cycles, charge.causes          # number of the operation in `timing.per_operation`

Block operations run one after another, DMAs beside them.  A block operation is charged the cycles from the end of the
one before to its own end.  Those before its start are a wait: for the output unit that stores the last block of the one
before, for the DMA that runs then, else for the command stream.
A DMA is charged only the cycles after the last block operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hil.npu.accelerator import Accelerator
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing.causes import Cause, by_cause
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import OperationTiming, Timing


@dataclass(frozen=True)
class Charge:
    """Cycles charged to an operation, and the same by cause; `waits` are those of them before its start."""

    number: int
    cycles: int
    causes: Mapping[Cause, int]
    waits: Mapping[Cause, int]

    @property
    def waited(self) -> int:
        """Cycles before the start of the operation."""
        return sum(self.waits.values())


def charges(timing: Timing, accelerator: Accelerator, memory: MemorySystem) -> Iterator[Charge]:
    """Yields the charges of one inference in order; they add up to `timing.total`."""
    transfers = [one for one in timing.per_operation if not isinstance(one.operation, BlockOperation)]
    end = drain = 0
    for number, one in enumerate(timing.per_operation):
        if isinstance(one.operation, BlockOperation):
            waits = _wait(end, one.start, drain, transfers)
            causes = Counter(waits)
            causes.update(by_cause(one, accelerator, memory))
            yield Charge(number, one.end - end, dict(causes), waits)
            end, drain = one.end, one.drain
    if timing.per_operation and timing.total > end:
        last = max(range(len(timing.per_operation)), key=lambda place: timing.per_operation[place].end)
        waits = _wait(end, timing.total, drain, transfers)
        yield Charge(last, timing.total - end, waits, waits)


def _wait(start: int, end: int, drain: int, transfers: Sequence[OperationTiming]) -> dict[Cause, int]:
    """Splits a wait by cause: the first `drain` cycles, those of the others in which a DMA runs, and the rest."""
    if start >= end:
        return {}
    drained = min(drain, end - start)
    start += drained
    covered, reached = 0, start
    for one in transfers:  # one after another, so in the order of their ends
        low, high = max(reached, one.start), min(end, one.end)
        if low < high:
            covered, reached = covered + high - low, high
    parts = {Cause.OUTPUT: drained, Cause.DMA: covered, Cause.COMMANDS: end - start - covered}
    return {cause: cycles for cause, cycles in parts.items() if cycles}
