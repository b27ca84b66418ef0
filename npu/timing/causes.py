"""Causes of an operation's cycles: the unit or the traffic that an operation waits for.

    by_cause(timing, accelerator, memory)      # {Cause.MACS: 25_216, Cause.ISSUE: 499}

The values add up to the operation's cycles.  They follow the timing model (`cycles`): an operation takes the longest of
computation and of traffic on each port, so traffic that is the longest is the cause of all its cycles.  Otherwise the
slower one of MAC and output unit is, and the cycles beyond theirs are those of issuing blocks, which wait for the
memory's latency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum

from hil.npu.accelerator import Accelerator
from hil.npu.stream.operations import BlockOperation, Elementwise
from hil.npu.timing.block_cycles import block_cycles
from hil.npu.timing.cycles import OperationTiming
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.traffic import Traffic, burst_overhead, input_bytes, parameter_ranges, planar_blocks, stored_bytes


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
        return {_busiest(operation, accelerator, memory.with_beat_bytes(accelerator.beat_bytes)): timing.cycles}
    block = block_cycles(operation, accelerator)
    slower, faster = max(block.mac, block.output), min(block.mac, block.output)
    whole = block.output * block.blocks if isinstance(operation, Elementwise) else slower * block.blocks + faster
    units = min(math.ceil(whole), timing.cycles)
    unit = Cause.MACS if block.mac >= block.output else Cause.OUTPUT
    found = {unit: units, Cause.ISSUE: timing.cycles - units}
    return {cause: cycles for cause, cycles in found.items() if cycles} or {unit: 0}


def _busiest(operation: BlockOperation, accelerator: Accelerator, memory: MemorySystem) -> Cause:
    """The kind of traffic that takes most of the busier port's cycles."""
    maps, weights = Traffic(memory), Traffic(memory)
    for ifm, count in input_bytes(operation):
        maps.read(ifm.region, count, burst_overhead(ifm, operation, memory.port_of(ifm.region), True))
    ofm = operation.ofm
    port = memory.port_of(ofm.region)
    maps.write(ofm.region, stored_bytes(ofm), burst_overhead(ofm, operation, port, False, accelerator.cores))
    for part in parameter_ranges(operation):
        weights.read(part.region, part.length * planar_blocks(operation))
    busier = max((0, 1), key=lambda number: maps.busy[number] + weights.busy[number])
    return Cause.WEIGHTS if weights.busy[busier] > maps.busy[busier] else Cause.FEATURE_MAPS
