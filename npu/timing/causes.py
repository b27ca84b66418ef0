"""Causes of an operation's cycles: the unit or the traffic that an operation waits for.

    by_cause(timing, accelerator, memory)      # {Cause.MACS: 25_216, Cause.ISSUE: 499}

The values add up to the operation's cycles.  They follow the timing model (`cycles`): an operation takes the longest of
computation and of traffic on each port, so traffic that is the longest is the cause of all its cycles.  Otherwise the
slower one of MAC and output unit is, and the cycles beyond theirs are those before the first block, which wait for the
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from hil.npu.accelerator import Accelerator
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing.block_cycles import block_cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import OperationTiming
from hil.npu.timing.traffic import parameter_ranges, planar_blocks


class Cause(str, Enum):
    """Unit or traffic that bounds an operation."""

    MACS = "MACs"
    OUTPUT = "output unit"
    ISSUE = "issue"
    WEIGHTS = "weights"
    FEATURE_MAPS = "feature maps"
    DMA = "DMA"
    COMMANDS = "command stream"


def by_cause(timing: OperationTiming, accelerator: Accelerator, memory: MemorySystem) -> Mapping[Cause, int]:
    """Cycles of an operation by cause; they add up to `timing.cycles`."""
    operation = timing.operation
    if not isinstance(operation, BlockOperation):
        return {Cause.DMA: timing.cycles}
    if timing.transfer > timing.compute:
        return {_busiest(timing, operation, memory.with_beat_bytes(accelerator.beat_bytes)): timing.cycles}
    block = block_cycles(operation, accelerator)
    unit = Cause.MACS if block.all_mac >= block.all_output else Cause.OUTPUT
    found = {unit: timing.compute, Cause.ISSUE: timing.cycles - timing.compute}
    return {cause: cycles for cause, cycles in found.items() if cycles} or {unit: 0}


def _busiest(timing: OperationTiming, operation: BlockOperation, memory: MemorySystem) -> Cause:
    """The kind of traffic with most of the beats on the port that they keep busy longest."""
    beats = [read + written for read, written in zip(timing.read_beats, timing.write_beats, strict=True)]
    port = max((0, 1), key=lambda number: beats[number] / memory.ports[number].bytes_per_cycle)
    weights = sum(
        part.length * planar_blocks(operation)
        for part in parameter_ranges(operation)
        if memory.port_number(part.region) == port
    )
    return Cause.WEIGHTS if 2 * weights > beats[port] * memory.beat_bytes else Cause.FEATURE_MAPS
