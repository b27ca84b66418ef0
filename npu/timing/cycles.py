"""Timing model: cycles and AXI traffic of a program, from its command stream.

    from hil.core.npu_config import NpuConfig

    timing = cycles(program, MemorySystem.of(NpuConfig()))
    timing.total, timing.axi0_read_beats

This is a model, not a measurement: callers label its numbers "modelled".

An operation takes the longer of the cycles of the MAC and output units (`block_cycles`) and of its traffic on the ports
(`traffic`, `memory_system`), and first the time to read a block of its IFM.  If it reads what the operation before it
wrote, it waits for the last block of that (`drain`); otherwise the two overlap.  The command stream is read through the
port of the constants.  DMAs run in parallel to block operations, one after the other.  DMA_WAIT waits for DMAs,
KERNEL_WAIT for block operations.

`python -m benchmarks.timing_error` compares it with published figures of Arm's FVP; docs/npu.md has the table.  Vela
calls its estimate approximate and the FVP its NPU "cycle approximate"; nothing here was compared with silicon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from hil.npu.accelerator import Accelerator
from hil.npu.program import Program
from hil.npu.stream.operations import (
    SCALE_RECORD,
    SHRAM_REGION,
    BlockOperation,
    Convolution,
    Dma,
    Elementwise,
    Kind,
    Wait,
)
from hil.npu.timing.block_cycles import BlockCycles, block_cycles, clipped_block
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import OperationTiming, Timing
from hil.npu.timing.traffic import Access, feature_map_reads, linear, parameter_reads, writes

_RECORD_BYTES = 256
"""Bytes of scale records that one wait for memory brings (`npu_performance.py`)."""

_BLOCKS_IN_FLIGHT = 4
"""Blocks that are read, computed, scaled and written at the same time (`npu_performance.py`)."""

COMMAND_REGION = 0
"""Region whose port reads the command stream: Vela stores it with the constants, in region 0."""


def cycles(program: Program, memory: MemorySystem) -> Timing:
    """Models one inference of `program` with the memories `memory`."""
    memory = memory.with_beat_bytes(program.accelerator.beat_bytes)
    npu_free = npu_drained = dma_free = issue = fetched = 0
    previous: BlockOperation | None = None
    timings: list[OperationTiming] = []
    dma_ends: list[int] = []
    kernel_ends: list[int] = []
    for operation in program.operations:
        if isinstance(operation, Wait):
            ends = dma_ends if operation.kind is Kind.DMA_WAIT else kernel_ends
            if len(ends) > operation.outstanding:
                issue = max(issue, ends[-1 - operation.outstanding])
        elif isinstance(operation, Dma):
            timing = _dma(operation, memory, max(issue, dma_free), 4 * (operation.word_offset - fetched))
            fetched = operation.word_offset
            dma_free = timing.end
            dma_ends.append(dma_free)
            timings.append(timing)
        elif isinstance(operation, BlockOperation):
            ready = npu_drained if _reads_output(operation, previous) else npu_free
            timing = _block_operation(operation, program.accelerator, memory, max(issue, ready))
            npu_free, npu_drained = timing.end, timing.end + timing.drain
            kernel_ends.append(npu_drained)
            timings.append(timing)
            previous = operation
    total = max(npu_drained, dma_free, issue)
    reads = [sum(t.read_beats[port] for t in timings) for port in (0, 1)]
    writes = [sum(t.write_beats[port] for t in timings) for port in (0, 1)]
    read_bursts = [sum(t.read_bursts[port] for t in timings) for port in (0, 1)]
    write_bursts = [sum(t.write_bursts[port] for t in timings) for port in (0, 1)]
    stream = linear(COMMAND_REGION, program.stream_words * 4, memory.beat_bytes)
    reads[memory.port_number(COMMAND_REGION)] += stream.beats
    read_bursts[memory.port_number(COMMAND_REGION)] += stream.bursts
    bursts = (read_bursts[0], read_bursts[1]), (write_bursts[0], write_bursts[1])
    return Timing(total, total, 0, reads[0], writes[0], reads[1], writes[1], tuple(timings), *bursts)


def _reads_output(operation: BlockOperation, previous: BlockOperation | None) -> bool:
    """True if an IFM of `operation` shares bytes with the OFM of `previous`."""
    if previous is None:
        return False
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    low, high = previous.ofm.extent()
    for feature_map in (operation.ifm, second):
        if feature_map is not None and feature_map.region == previous.ofm.region:
            start, end = feature_map.extent()
            if start < high and low < end:
                return True
    return False


def _dma(operation: Dma, memory: MemorySystem, start: int, command_bytes: int) -> OperationTiming:
    """Models a DMA.  The commands since the last one, `command_bytes`, go before it through the same memory."""
    traffic = PortTraffic(memory)
    length, latency, commands = operation.length * len(operation.sources), 0, 0.0
    if operation.source_region != SHRAM_REGION:
        traffic.read(linear(operation.source_region, length, memory.beat_bytes))
        port = memory.port_of(operation.source_region)
        latency = port.read_latency
        if port is memory.port_of(COMMAND_REGION):
            stream = linear(COMMAND_REGION, command_bytes, memory.beat_bytes)
            commands = port.busy((stream.beats, 0), (stream.bursts, 0), memory.beat_bytes)
    if operation.destination_region != SHRAM_REGION:
        traffic.write(linear(operation.destination_region, length, memory.beat_bytes))
        latency += memory.port_of(operation.destination_region).write_latency
    transfer = math.ceil(traffic.busy() + commands) + latency
    return OperationTiming(
        operation,
        start,
        start + transfer,
        0,
        transfer,
        traffic.read_beats,
        traffic.write_beats,
        read_bursts=traffic.read_bursts,
        write_bursts=traffic.write_bursts,
    )


def _block_operation(
    operation: BlockOperation, accelerator: Accelerator, memory: MemorySystem, start: int
) -> OperationTiming:
    traffic = PortTraffic(memory)
    inputs = list(feature_map_reads(operation, accelerator))
    for access in (*(read for read, _ in inputs), *parameter_reads(operation, accelerator)):
        traffic.read(access)
    traffic.write(writes(operation, accelerator))
    block = block_cycles(operation, accelerator)
    slower = _scale_wait(operation, block, memory)
    compute, transfer = math.ceil(max(block.all_mac, block.all_output * slower)), math.ceil(traffic.busy())
    fill = math.ceil(_fill(operation, inputs, memory))
    return OperationTiming(
        operation,
        start,
        start + fill + max(compute, transfer),
        compute,
        transfer,
        traffic.read_beats,
        traffic.write_beats,
        fill,
        math.ceil(_drain(block, slower, fill, transfer - compute)),
        traffic.read_bursts,
        traffic.write_bursts,
        math.ceil(block.all_mac),
        math.ceil(block.all_output),
    )


def _drain(block: BlockCycles, slower: float, latency: int, waiting: int) -> float:
    """Cycles of the last block in the output unit, at least those of issuing a block (Vela's estimate).

    Records are read and blocks issued while the operation waits for memory, `waiting` cycles, negative for none.
    """
    if not block.mac:
        return 0.0
    output = min(block.output, block.all_output)
    issue = min((latency + block.mac + block.output) / _BLOCKS_IN_FLIGHT, block.all_mac)
    return max(output, max(output * slower, issue) - max(0, waiting))


def _scale_wait(operation: BlockOperation, block: BlockCycles, memory: MemorySystem) -> float:
    """Ratio by which the output unit is slower because it waits for a block's scale records (Vela's estimate)."""
    if not isinstance(operation, Convolution) or operation.records is None:
        return 1.0
    latency = memory.port_of(operation.records.region).read_latency
    return max(1.0, SCALE_RECORD * clipped_block(operation)[2] * latency / _RECORD_BYTES / block.output)


def _fill(operation: BlockOperation, inputs: Iterable[tuple[Access, int]], memory: MemorySystem) -> float:
    """Cycles until the first block can be computed: reads of the IFM, after the last write of the operation before."""
    total: float = memory.port_of(operation.ofm.region).write_latency
    for access, blocks in inputs:
        port = memory.port_of(access.region)
        busy = port.busy((access.beats, 0), (access.bursts, 0), memory.beat_bytes)
        total += port.read_latency + busy / max(1, blocks)
    return total


class PortTraffic:
    """Beats and bursts of an operation by port."""

    def __init__(self, memory: MemorySystem) -> None:
        self._memory = memory
        self._reads = [0, 0], [0, 0]
        self._writes = [0, 0], [0, 0]

    def read(self, access: Access) -> None:
        """Counts a read."""
        self._count(self._reads, access)

    def write(self, access: Access) -> None:
        """Counts a write."""
        self._count(self._writes, access)

    def _count(self, traffic: tuple[list[int], list[int]], access: Access) -> None:
        port = self._memory.port_number(access.region)
        traffic[0][port] += access.beats
        traffic[1][port] += access.bursts

    @property
    def read_beats(self) -> tuple[int, int]:
        """Beats read by port."""
        return self._reads[0][0], self._reads[0][1]

    @property
    def write_beats(self) -> tuple[int, int]:
        """Beats written by port."""
        return self._writes[0][0], self._writes[0][1]

    @property
    def read_bursts(self) -> tuple[int, int]:
        """Bursts read by port."""
        return self._reads[1][0], self._reads[1][1]

    @property
    def write_bursts(self) -> tuple[int, int]:
        """Bursts written by port."""
        return self._writes[1][0], self._writes[1][1]

    def busy(self) -> float:
        """Returns the cycles of the busier port."""
        (beats, bursts), (written, write_bursts), memory = self._reads, self._writes, self._memory
        return max(
            port.busy((beats[at], written[at]), (bursts[at], write_bursts[at]), memory.beat_bytes)
            for at, port in enumerate(memory.ports)
        )
