"""AXI traffic of an operation: beats and bursts by region, from addresses, strides, format and blocks.

    for access, blocks in feature_map_reads(operation, accelerator): print(access.region, access.beats, access.bursts)

The NPU reads the part of the IFM under each OFM block and writes the block.  Adjacent bytes are one *run*: the columns
of a row, of one brick in NHCWB16; in NHWC the whole pixels of a row, or each pixel alone if its channels are not all
read or not adjacent.  A run takes a *beat* for each bus word that it touches, also where it covers a part of one, and a
*burst* for each 64 bytes of address space that it touches.  So narrow and unaligned rows cost beats of their own.

* A kernel is split into sub-kernels of 8x8, each of which reads its own part of the IFM.
* A convolution reads the IFM again for each block of output channels, unless the whole depth and kernel is one IFM
  block: that stays in SHRAM.
* Bricks are written whole, also where the OFM has fewer channels.  They are read whole too; 32 and 64 MACs read the
  first half alone of an IFM of up to 8 channels.
* Weights and scale records are read for each block of rows and columns.

Sources: Vela's performance estimators (`npu_performance.py`) for the order of blocks; the bursts are those that Arm's
driver sets in AXI_LIMIT (MAX_BEATS 0).  The rules for runs, sub-kernels, reuse and bricks are confirmed by the beats
that an FVP counted for kws_micronet_m (writes and weights equal, reads to 0.03 %) and MobileNetV2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.npu.accelerator import Accelerator
from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.operations import BlockOperation, Convolution, Elementwise, Kind, Range, Windowed
from hil.npu.timing.block_cycles import SUB_KERNEL, clipped_block, ifm_block_depth

BURST_BYTES = 64
"""Longest burst, and the alignment at which longer ones are split: MAX_BEATS of AXI_LIMIT as Arm's driver sets it."""

_HALF_BRICK_MACS = 64
"""Largest NPU that reads half a brick; inferred from an FVP's read beats of a network with 4 and 8 channels."""

Spans = list[tuple[int, int]]
"""Ranges along one axis (end excluded)."""


@dataclass(frozen=True)
class Access:
    """Beats and bursts of reads or writes in a region."""

    region: int
    beats: int
    bursts: int

    def __mul__(self, times: int) -> Access:
        return Access(self.region, self.beats * times, self.bursts * times)


def linear(region: int, length: int, beat_bytes: int) -> Access:
    """Access to `length` adjacent, aligned bytes."""
    return Access(region, -(-length // beat_bytes), -(-length // BURST_BYTES))


def parameter_reads(operation: BlockOperation, accelerator: Accelerator) -> Iterator[Access]:
    """Yields the reads of the weights and the scale records."""
    blocks = planar_blocks(operation)
    for part in parameter_ranges(operation):
        yield linear(part.region, part.length, accelerator.beat_bytes) * blocks


def feature_map_reads(operation: BlockOperation, accelerator: Accelerator) -> Iterator[tuple[Access, int]]:
    """Yields the reads of each input feature map, and the number of IFM blocks that they consist of."""
    ifm, block, width = operation.ifm, clipped_block(operation), accelerator.beat_bytes
    if isinstance(operation, Windowed):
        rows, columns = _windows(operation, 0), _windows(operation, 1)
        depth = ifm_block_depth(operation) if operation.kind in (Kind.CONV, Kind.REDUCE_SUM) else block[2]
        passes = _passes(operation)
        half = accelerator.macs <= _HALF_BRICK_MACS and ifm.shape[2] <= BRICK // 2
        brick = BRICK // 2 if half else BRICK
        spans = _spans(ifm.shape[2], depth)
        yield _access(ifm, rows, columns, spans, width, brick) * passes, len(rows) * len(columns) * len(spans) * passes
        return
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    for feature_map in (ifm, second):
        if feature_map is not None:
            rows, columns, spans = (_spans(length, step) for length, step in zip(feature_map.shape, block, strict=True))
            access = _access(feature_map, rows, columns, spans, width, BRICK)
            yield access, len(rows) * len(columns) * len(spans)


def writes(operation: BlockOperation, accelerator: Accelerator) -> Access:
    """Returns the writes of the OFM."""
    block = clipped_block(operation)
    rows, columns, channels = (_spans(length, step) for length, step in zip(operation.ofm.shape, block, strict=True))
    return _access(operation.ofm, rows, columns, channels, accelerator.beat_bytes, BRICK)


def parameter_ranges(operation: BlockOperation) -> tuple[Range, ...]:
    """Byte ranges of the weights and the scale records."""
    if isinstance(operation, Convolution):
        return operation.weight_streams + operation.record_streams
    return () if operation.records is None else (operation.records,)


def planar_blocks(operation: BlockOperation) -> int:
    """Number of OFM blocks in a plane of height and width."""
    block = clipped_block(operation)
    return -(-operation.ofm.shape[0] // block[0]) * -(-operation.ofm.shape[1] // block[1])


def _passes(operation: Windowed) -> int:
    """Number of times that the whole IFM is read."""
    kernel = operation.kernel
    steps = kernel.height * kernel.dilation_y, kernel.width * kernel.dilation_x
    stays = max(steps) <= SUB_KERNEL and operation.ifm.shape[2] <= ifm_block_depth(operation)
    if operation.kind is not Kind.CONV or stays:
        return 1
    return -(-operation.ofm.shape[2] // clipped_block(operation)[2])


def _spans(length: int, step: int) -> Spans:
    return [(first, min(first + step, length)) for first in range(0, length, step)]


def _windows(operation: Windowed, axis: int) -> Spans:
    """Rows (axis 0) or columns (1) of the IFM under each OFM block and sub-kernel."""
    kernel, padding = operation.kernel, operation.padding
    size, stride, dilation, before = (
        (kernel.height, kernel.stride_y, kernel.dilation_y, padding.top),
        (kernel.width, kernel.stride_x, kernel.dilation_x, padding.left),
    )[axis]
    scale = 2 if operation.upscale else 1
    length, found = operation.ifm.shape[axis] * scale, []
    for first, end in _spans(operation.ofm.shape[axis], clipped_block(operation)[axis]):
        for left, right in _spans(size, max(1, SUB_KERNEL // dilation)):
            low = max(0, first * stride - before + left * dilation) // scale
            high = -(-min(length, (end - 1) * stride - before + (right - 1) * dilation + 1) // scale)
            if high > low:
                found.append((low, high))
    return found


def _access(
    feature_map: FeatureMap, rows: Spans, columns: Spans, channels: Spans, beat_bytes: int, brick: int
) -> Access:
    """Counts the beats and bursts of all blocks, the product of the three axes; bricks count as `brick` channels."""
    starts, times = _row_starts(feature_map, rows)
    at, count = _residues(starts, times)
    beats = bursts = 0
    for offsets, length in _runs(feature_map, columns, channels, brick):
        inner, often = _residues(offsets, np.ones_like(offsets))
        first, total = at[:, None] + inner, count[:, None] * often
        beats += int(((first % beat_bytes + (length + beat_bytes - 1)) // beat_bytes * total).sum())
        bursts += int(((first % BURST_BYTES + (length + BURST_BYTES - 1)) // BURST_BYTES * total).sum())
    return Access(feature_map.region, beats, bursts)


def _residues(addresses: Array, times: Array) -> tuple[Array, Array]:
    """Distinct places of `addresses` in a burst, and how often each occurs; beats and bursts follow from these."""
    counts = np.bincount(addresses % BURST_BYTES, times, BURST_BYTES).astype(np.int64)
    found = np.flatnonzero(counts)
    return found, counts[found]


def _row_starts(feature_map: FeatureMap, rows: Spans) -> tuple[Array, Array]:
    """Addresses of the rows that `rows` name, as if all were in the left tiles, and how often each is named."""
    named = np.zeros(feature_map.shape[0] + 1, np.int64)
    np.add.at(named, [low for low, _ in rows], 1)
    np.add.at(named, [high for _, high in rows], -1)
    times = np.cumsum(named)[:-1]
    at = np.arange(feature_map.shape[0]) * feature_map.strides[0] + feature_map.address
    for tile in feature_map.tiles:
        if tile.left == 0:
            at[tile.top : tile.bottom] = tile.address + np.arange(tile.bottom - tile.top) * feature_map.strides[0]
    return at[times > 0], times[times > 0]


def _runs(feature_map: FeatureMap, columns: Spans, channels: Spans, brick: int) -> Iterator[tuple[Array, int]]:
    """Yields the runs of a row of all blocks by length in bytes, as offsets from the row's first byte."""
    size, (_, stride_x, stride_c) = feature_map.dtype.itemsize, feature_map.strides
    parts: dict[int, list[int]] = {}
    for low, high in channels:
        if feature_map.bricks:
            stride_x = BRICK * size
            bricks = range(low // BRICK, -(-high // BRICK))
            parts.setdefault(brick * size, []).extend(index * stride_c for index in bricks)
        else:
            parts.setdefault((high - low) * size, []).append(low * size)
    widths: dict[int, list[int]] = {}
    for left, right in columns:
        widths.setdefault(right - left, []).append(left * stride_x)
    for length, offsets in parts.items():
        for width, lefts in widths.items():
            places = np.add.outer(offsets, lefts).ravel()
            if stride_x == length:  # The pixels of the row are adjacent.
                yield places, width * length
            else:
                yield np.add.outer(places, np.arange(width) * stride_x).ravel(), length
