"""Timing model: cycles and AXI traffic of a program, from its command stream.

    from hil.core.npu_config import NpuConfig

    timing = cycles(program, MemorySystem.of(NpuConfig()))
    timing.total, timing.axi0_read_beats

This is a model, not a measurement: callers label its numbers "modelled".

An operation takes the longest of the cycles of the MAC and output units (`block_cycles`), of issuing its blocks, and of
its traffic on each port (`traffic`).  The command stream itself is read through the port of the constants.  DMAs run in
parallel to block operations, one after the other.  DMA_WAIT waits for DMAs, KERNEL_WAIT for block operations.  Block
operations do not overlap each other here, even if BLOCKDEP allows it.

Accuracy, with Vela 5.2 and Ethos_U55_High_End_Embedded; nothing is tuned to a network:

* against the cycles that Arm's FVP is published to need for kws_micronet_m in Shared_Sram (a personal repository's
  sweep): -0.7 %, -0.8 %, +0.8 %, +2.9 % at 32, 64, 128, 256 MACs; beats at 128 MACs -1.1 % (AXI0) and 0.0 % (AXI1);
* against Vela's own estimate for four networks in Shared_Sram and Sram_Only at all sizes: -10 % to +4 %; of a U65, in
  Dedicated_Sram too: -7 % to +8 % at 256 MACs, -24 % to +16 % at 512.

Vela calls its estimate approximate and the FVP its NPU "cycle approximate"; nothing here was compared with silicon.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hil.npu.program import Program
from hil.npu.stream.operations import (
    SHRAM_REGION,
    BlockOperation,
    Convolution,
    Dma,
    Elementwise,
    Kind,
    Operation,
    Wait,
)
from hil.npu.timing.block_cycles import BlockCycles, block_cycles, clipped_block
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.traffic import (
    Traffic,
    burst_overhead,
    input_block,
    input_bytes,
    parameter_ranges,
    planar_blocks,
    stored_bytes,
)

CYCLE, NPU_IDLE, NPU_ACTIVE = 0x11, 0x20, 0x23
AXI0_READ_BEAT, AXI0_WRITE_BEAT, AXI1_READ_BEAT, AXI1_WRITE_BEAT = 0x82, 0x87, 0x182, 0x187
"""PMU event numbers (`pmu_event_type` of Vela's `ethos_u55_regs`)."""


COMMAND_REGION = 0
"""Region whose port reads the command stream: Vela stores it with the constants, in region 0."""


@dataclass(frozen=True)
class OperationTiming:
    """Start and end of an operation in cycles from the program's start, and its beats.

    `compute` are the cycles of the MAC and output units, `transfer` those of the busier port.  `read_beats` and
    `write_beats` are by port.
    """

    operation: Operation
    start: int
    end: int
    compute: int
    transfer: int
    read_beats: tuple[int, int]
    write_beats: tuple[int, int]

    @property
    def cycles(self) -> int:
        """Cycles from start to end."""
        return self.end - self.start


@dataclass(frozen=True)
class Timing:
    """Modelled cycles and beats (of 8 bytes, U65: 16) of one inference.

    `active` and `idle` add up to `total`; outside the program the model has no time, so `idle` is 0.
    """

    total: int
    active: int
    idle: int
    axi0_read_beats: int
    axi0_write_beats: int
    axi1_read_beats: int
    axi1_write_beats: int
    per_operation: tuple[OperationTiming, ...]

    def events(self) -> Mapping[int, int]:
        """Returns counts by PMU event number."""
        return {
            CYCLE: self.total,
            NPU_IDLE: self.idle,
            NPU_ACTIVE: self.active,
            AXI0_READ_BEAT: self.axi0_read_beats,
            AXI0_WRITE_BEAT: self.axi0_write_beats,
            AXI1_READ_BEAT: self.axi1_read_beats,
            AXI1_WRITE_BEAT: self.axi1_write_beats,
        }


def cycles(program: Program, memory: MemorySystem) -> Timing:
    """Models one inference of `program` with the memories `memory`."""
    memory = memory.with_beat_bytes(program.accelerator.beat_bytes)
    npu_free = dma_free = issue = 0
    timings: list[OperationTiming] = []
    dma_ends: list[int] = []
    kernel_ends: list[int] = []
    for operation in program.operations:
        if isinstance(operation, Wait):
            ends = dma_ends if operation.kind is Kind.DMA_WAIT else kernel_ends
            if len(ends) > operation.outstanding:
                issue = max(issue, ends[-1 - operation.outstanding])
        elif isinstance(operation, Dma):
            timing = _dma(operation, memory, max(issue, dma_free))
            dma_free = timing.end
            dma_ends.append(dma_free)
            timings.append(timing)
        elif isinstance(operation, BlockOperation):
            timing = _block_operation(operation, program, memory, max(issue, npu_free))
            npu_free = timing.end
            kernel_ends.append(npu_free)
            timings.append(timing)
    total = max(npu_free, dma_free, issue)
    reads = [sum(t.read_beats[port] for t in timings) for port in (0, 1)]
    writes = [sum(t.write_beats[port] for t in timings) for port in (0, 1)]
    reads[memory.port_number(COMMAND_REGION)] += -(-program.stream_words * 4 // memory.beat_bytes)
    return Timing(total, total, 0, reads[0], writes[0], reads[1], writes[1], tuple(timings))


def _dma(operation: Dma, memory: MemorySystem, start: int) -> OperationTiming:
    traffic = Traffic(memory)
    count = operation.length * len(operation.sources)
    latency = 0
    if operation.source_region != SHRAM_REGION:
        traffic.read(operation.source_region, count)
        latency = memory.port_of(operation.source_region).read_latency
    if operation.destination_region != SHRAM_REGION:
        traffic.write(operation.destination_region, count)
    transfer = math.ceil(max(traffic.busy)) + latency
    return OperationTiming(
        operation, start, start + transfer, 0, transfer, traffic.beats(traffic.reads), traffic.beats(traffic.writes)
    )


def _block_operation(operation: BlockOperation, program: Program, memory: MemorySystem, start: int) -> OperationTiming:
    traffic = Traffic(memory)
    for ifm, count in input_bytes(operation):
        traffic.read(ifm.region, count, burst_overhead(ifm, operation, memory.port_of(ifm.region), True))
    ofm = operation.ofm
    cores = program.accelerator.cores
    factor = burst_overhead(ofm, operation, memory.port_of(ofm.region), False, cores)
    traffic.write(ofm.region, stored_bytes(ofm), factor)
    for part in parameter_ranges(operation):
        traffic.read(part.region, part.length * planar_blocks(operation))
    compute = math.ceil(_compute(operation, block_cycles(operation, program.accelerator), memory, cores))
    transfer = math.ceil(max(traffic.busy))
    return OperationTiming(
        operation,
        start,
        start + max(compute, transfer),
        compute,
        transfer,
        traffic.beats(traffic.reads),
        traffic.beats(traffic.writes),
    )


def _compute(operation: BlockOperation, block: BlockCycles, memory: MemorySystem, cores: int) -> float:
    """Cycles of the MAC and output units, at least those of issuing the blocks."""
    output = block.output
    if isinstance(operation, Convolution) and operation.records is not None:
        latency = memory.port_of(operation.records.region).read_latency
        output = max(output, 10 * clipped_block(operation)[2] * latency / 256)
    issue = (_block_latency(operation, memory, cores) + block.mac + output) / 4
    mac, output = max(block.mac, issue), max(output, issue)
    if isinstance(operation, Elementwise):
        return output * block.blocks
    return max(mac, output) * block.blocks + min(mac, output)


def _block_latency(operation: BlockOperation, memory: MemorySystem, cores: int) -> float:
    """Cycles to read the IFM of one block and to write its OFM."""
    ifm, ofm = operation.ifm, operation.ofm
    height, width, depth = input_block(operation)
    read, write = memory.port_of(ifm.region), memory.port_of(ofm.region)
    fetched = min(height, ifm.shape[0]) * min(width, ifm.shape[1]) * min(depth, ifm.shape[2]) * ifm.dtype.itemsize
    stored = math.prod(clipped_block(operation)) * ofm.dtype.itemsize
    return (
        read.read_latency
        + fetched * burst_overhead(ifm, operation, read, True) / read.bytes_per_cycle
        + write.write_latency
        + stored * burst_overhead(ofm, operation, write, False, cores) / write.bytes_per_cycle
    )
