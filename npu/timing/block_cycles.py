"""Cycles of a block operation in the MAC units and the output unit, without memory accesses.

The MAC units compute an OFM block by micro-blocks; the output unit ("AO") then scales and stores it while the MAC units
compute the next block.  So an operation takes the time of the slower unit for every block, and of the faster one once.

* A kernel is split into sub-kernels of 8x8.  In each, a step of 4 cycles per micro-block (at least the weight buffer's
  32 cycles for 8 channels) covers: depth-first one kernel element of a 32-channel IFM block; part-kernel-first four
  elements (two of 16 bits) of 8 channels; depthwise four elements; a pool one element per cycle, at least 4.
* If a block is a single micro-block, each step waits for the accumulators.
* The output unit needs a fixed number of cycles per element, by operation and accelerator.
* Two cores (U65-512) share the channels of a block, and so its cycles.

Facts from Vela's performance estimators (`npu_performance.py`, `architecture_features.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hil.npu.accelerator import Accelerator
from hil.npu.stream.operations import UNARY, BlockOperation, Convolution, Elementwise, Kind, Windowed

SUB_KERNEL = 8
"""Largest height and width of a sub-kernel."""

_OUTPUT_CYCLES = {
    32: (2.0, 3.0, 3.0, 3.0, 4.0, 6.0, 1.0, 2.0),
    64: (1.0, 1.5, 1.5, 1.5, 2.0, 3.0, 0.5, 1.0),
    128: (0.75, 1.25, 0.75, 0.75, 1.0, 1.5, 0.25, 0.5),
    256: (0.625, 1.125, 0.5, 0.375, 0.5, 0.75, 0.125, 0.25),
    512: (0.3125, 0.5625, 0.25, 0.1875, 0.25, 0.375, 0.0625, 0.125),
}
"""Output unit's cycles per OFM element, by MACs: 32-bit unary, 32-bit binary, MUL to 32 bits, MUL or 40-bit
accumulators, plain ADD, scaled ADD, MAX_POOL, all else."""

OUTPUT_GROUP = 8
"""Channels that the output unit passes together; inferred from an FVP's cycles of a network with 4 to 14 channels."""

_CLAMP_CYCLES = {32: 1.0, 64: 1.0, 128: 0.5, 256: 0.25, 512: 0.125}
_TABLE_CYCLES = 1.0
"""Cycles per OFM element of a table look-up in one core; two cores look up one element each."""


@dataclass(frozen=True)
class BlockCycles:
    """Cycles of one full block in the MAC units and in the output unit, and of all blocks in each."""

    mac: float
    output: float
    all_mac: float
    all_output: float


def clipped_block(operation: BlockOperation) -> tuple[int, int, int]:
    """OFM block, clipped to the OFM."""
    (height, width, depth), (rows, columns, channels) = operation.block, operation.ofm.shape
    return min(height, rows), min(width, columns), min(depth, channels)


def ifm_block_depth(operation: BlockOperation) -> int:
    """Depth of the IFM block in SHRAM."""
    depth, bits = operation.ifm.shape[2], operation.ifm.dtype.itemsize * 8
    part_first = isinstance(operation, Windowed) and operation.kernel.part_first
    if bits == 16:
        return min(-(-min(depth, 16) // 4) * 4, depth)
    return min(-(-min(depth, 16 if part_first else 32) // 8) * 8, depth)


def block_cycles(operation: BlockOperation, accelerator: Accelerator) -> BlockCycles:
    """Models the cycles of a block of `operation` on `accelerator`."""
    block = clipped_block(operation)
    output = math.ceil(output_cycles(operation, accelerator) * block[0] * block[1] * block[2])
    if isinstance(operation, Elementwise) or not isinstance(operation, Windowed):
        shape = operation.ofm.shape
        depth = -(-shape[2] // 16) * 16 if operation.ofm.bricks else shape[2]
        blocks = shape[0] * shape[1] * depth / (block[0] * block[1] * block[2])
        return BlockCycles(0, output, 0, output * blocks)
    ublock = _micro_block(operation, accelerator)
    counts = tuple(-(-b // u) for b, u in zip(block, ublock, strict=True))
    total = math.prod(-(-s // u) for s, u in zip(operation.ofm.shape, ublock, strict=True))
    mac = _mac_cycles(operation, accelerator, counts, ublock[2]) / accelerator.cores
    return BlockCycles(mac, output, mac * total / math.prod(counts), _all_output_cycles(operation, accelerator, block))


def _all_output_cycles(operation: Windowed, accelerator: Accelerator, block: tuple[int, int, int]) -> float:
    """Output unit's cycles of all blocks: it passes over groups of 8 channels, also where the last has fewer."""
    height, width, depth = operation.ofm.shape
    blocks, rest = divmod(depth, block[2])
    channels = sum(-(-part // OUTPUT_GROUP) * OUTPUT_GROUP * times for part, times in ((block[2], blocks), (rest, 1)))
    return output_cycles(operation, accelerator) * height * width * channels


def output_cycles(operation: BlockOperation, accelerator: Accelerator) -> float:
    """Output unit's cycles per OFM element."""
    table = _OUTPUT_CYCLES[accelerator.macs]
    kind, wide_accumulator = operation.kind, operation.accumulator == 1
    if isinstance(operation, Elementwise) and operation.ifm.dtype.itemsize == 4:
        cycles = table[0] if kind in UNARY else table[1]
    elif kind is Kind.MUL and operation.ofm.dtype.itemsize == 4:
        cycles = table[2]
    elif kind is Kind.MUL or (wide_accumulator and isinstance(operation, Windowed)):
        cycles = table[3]
    elif kind in (Kind.ADD, Kind.SUB):
        cycles = table[5]
    else:
        cycles = table[6] if kind is Kind.MAX_POOL else table[7]
    if operation.activation.lut is not None:
        return max(cycles, _TABLE_CYCLES / accelerator.cores)
    lowest, highest = _limits(operation.ofm.dtype)
    if operation.activation.minimum > lowest or operation.activation.maximum < highest:
        return max(cycles, _CLAMP_CYCLES[accelerator.macs])
    return cycles


@lru_cache
def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _micro_block(operation: Windowed, accelerator: Accelerator) -> tuple[int, int, int]:
    """OFM micro-block; a one-row convolution on U55-256 uses 1x4 in place of 2x2."""
    height, width, depth = accelerator.ofm_ublock
    one_row = operation.ofm.shape[0] == 1 and operation.ofm.shape[1] % 2 == 0 and operation.kernel.height == 1
    if height == 2 and isinstance(operation, Convolution) and operation.kind is Kind.CONV and one_row:
        return 1, 4, depth
    return height, width, depth


def _mac_cycles(operation: Windowed, accelerator: Accelerator, counts: tuple[int, ...], ublock_depth: int) -> float:
    kernel = operation.kernel
    cycles = 0.0
    for top in range(0, kernel.height, SUB_KERNEL):
        for left in range(0, kernel.width, SUB_KERNEL):
            elements = min(kernel.height - top, SUB_KERNEL) * min(kernel.width - left, SUB_KERNEL)
            cycles += _sub_kernel_cycles(operation, accelerator, counts, ublock_depth, elements)
    if operation.kind in (Kind.CONV, Kind.REDUCE_SUM):
        cycles *= -(-operation.ifm.shape[2] // ifm_block_depth(operation))
    return cycles


def _sub_kernel_cycles(
    operation: Windowed, accelerator: Accelerator, counts: tuple[int, ...], ublock_depth: int, elements: int
) -> float:
    size, plane = operation.ifm.dtype.itemsize, counts[0] * counts[1]
    if operation.kind in (Kind.MAX_POOL, Kind.AVERAGE_POOL):
        steps = 1
        cycles = max(4, elements) * plane * counts[2] * (size if accelerator.macs > 32 else 1)
    else:
        step = 4 * plane
        if operation.kind is Kind.DEPTHWISE:
            step, steps = step * size, -(-elements // 4)
        elif operation.kind is Kind.CONV and operation.kernel.part_first:
            steps = -(-elements // (2 if size == 2 else 4)) * -(-ifm_block_depth(operation) // 8)
        else:
            steps = elements
        cycles = max(4 * ublock_depth, step) * steps * counts[2]
    return cycles + _delay(operation, accelerator, counts, steps)


def _delay(operation: Windowed, accelerator: Accelerator, counts: tuple[int, ...], steps: int) -> int:
    """Stall cycles of waiting for accumulators, if a block is a single micro-block."""
    wide = operation.accumulator == 1
    delay = 3 if wide and accelerator.macs <= 128 else 2
    if accelerator.macs == 32:
        delay = 7 if wide else 3
    lost = 0
    if counts[0] * counts[1] == 1:
        lost = delay * steps if counts[2] == 1 else delay * (steps - 1) * counts[2]
    if accelerator.macs == 32 and wide and counts[2] > 1 and 1 in counts[:2]:
        lost += delay * counts[2]
    return lost
