"""Cycles and traffic of one operation: alone, and beside DMAs that use the same ports.

    timing = block_operation(operation, accelerator, memory, start)
    timing = beside(timing, dmas, 0, memory)

A block operation takes the longer of the cycles of the MAC and output units (`block_cycles`) and of its traffic on the
ports (`traffic`, `memory_system`), and first the time to read a block of its IFM.  What DMAs read and write meanwhile
goes through the same ports, and the caps of their timing adapters count it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice, takewhile

from hil.npu.accelerator import Accelerator
from hil.npu.stream.operations import SCALE_RECORD, SHRAM_REGION, BlockOperation, Convolution, Dma
from hil.npu.timing.block_cycles import BlockCycles, block_cycles, clipped_block
from hil.npu.timing.memory_system import AxiPort, MemorySystem
from hil.npu.timing.timing import OperationTiming
from hil.npu.timing.traffic import Access, feature_map_reads, linear, parameter_reads, writes

_RECORD_BYTES = 256
"""Bytes of scale records that one wait for memory brings (`npu_performance.py`)."""

_BLOCKS_IN_FLIGHT = 4
"""Blocks that are read, computed, scaled and written at the same time (`npu_performance.py`)."""

COMMAND_REGION = 0
"""Region whose port reads the command stream: Vela stores it with the constants, in region 0."""


def dma(operation: Dma, memory: MemorySystem, start: int, command_bytes: int) -> OperationTiming:
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


def block_operation(
    operation: BlockOperation, accelerator: Accelerator, memory: MemorySystem, start: int
) -> OperationTiming:
    """Models a block operation that has its ports to itself."""
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


def beside(
    timing: OperationTiming, dmas: Sequence[OperationTiming], first: int, memory: MemorySystem
) -> OperationTiming:
    """Returns `timing` of a block operation with the words of `dmas` that its ports carry while it runs.

    The DMAs are in order and one after the other; those before number `first` are over.
    """
    while meanwhile := _started(dmas, first, timing.end):
        ports = enumerate(memory.ports)
        transfer = math.ceil(max(_busy_beside(port, at, timing, meanwhile, memory.beat_bytes) for at, port in ports))
        end = timing.start + timing.fill + max(timing.compute, transfer)
        longer = replace(timing, end=end, transfer=transfer)
        if end <= timing.end:
            return longer
        timing = longer
    return timing


def _started(dmas: Sequence[OperationTiming], first: int, end: int) -> list[OperationTiming]:
    """Those of `dmas`, from number `first` on, that start before `end`."""
    return list(takewhile(lambda one: one.start < end, islice(dmas, first, None)))


def _busy_beside(
    port: AxiPort, at: int, timing: OperationTiming, dmas: Sequence[OperationTiming], beat_bytes: int
) -> float:
    """Cycles of port `at`, which serves the operation and the DMAs in turn: a word of theirs for each of its own."""
    start, own = timing.start + timing.fill, _words(timing, at)
    others = [0.0] * len(own)
    for one in dmas:
        share = (min(timing.end, one.end) - max(start, one.start)) / max(1, one.cycles)
        if share > 0:
            others = [words + share * more for words, more in zip(others, _words(one, at), strict=True)]
    served = min(1.0, sum(own[:2]) / (sum(others[:2]) or 1.0))
    read, written, reads, writes = (mine + served * more for mine, more in zip(own, others, strict=True))
    return port.busy((read, written), (reads, writes), beat_bytes)


def _words(timing: OperationTiming, port: int) -> tuple[int, ...]:
    """Beats read and written, then bursts, on a port."""
    counts = timing.read_beats, timing.write_beats, timing.read_bursts, timing.write_bursts
    return tuple(count[port] for count in counts)


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
