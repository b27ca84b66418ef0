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
from functools import lru_cache

from hil.npu.accelerator import Accelerator
from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.operations import BlockOperation, Convolution, Elementwise, Kind, Range, Windowed
from hil.npu.timing.block_cycles import SUB_KERNEL, clipped_block, ifm_block_depth
from hil.npu.timing.bus_words import BURST_BYTES, REMEMBERED, Layout, Spans, Steps, bus_words

_HALF_BRICK_MACS = 64
"""Largest NPU that reads half a brick; inferred from an FVP's read beats of a network with 4 and 8 channels."""


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
        blocks = _number(rows) * _number(columns) * _number(spans)
        yield _access(ifm, rows, columns, spans, width, brick) * passes, blocks * passes
        return
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    for feature_map in (ifm, second):
        if feature_map is not None:
            rows, columns, spans = (_spans(length, step) for length, step in zip(feature_map.shape, block, strict=True))
            access = _access(feature_map, rows, columns, spans, width, BRICK)
            yield access, _number(rows) * _number(columns) * _number(spans)


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


@lru_cache(REMEMBERED)
def _spans(length: int, step: int) -> Spans:
    """An axis of `length` in parts of `step`."""
    whole, rest = divmod(length, step)
    parts = Steps(0, step, step, whole), Steps(length - rest, rest, rest, 1)
    return tuple(part for part in parts if part.length and part.number)


def _number(spans: Spans) -> int:
    return sum(part.number for part in spans)


def _windows(operation: Windowed, axis: int) -> Spans:
    """Rows (axis 0) or columns (1) of the IFM under each OFM block and sub-kernel."""
    kernel, padding = operation.kernel, operation.padding
    window = (
        (kernel.height, kernel.stride_y, kernel.dilation_y, padding.top),
        (kernel.width, kernel.stride_x, kernel.dilation_x, padding.left),
    )[axis]
    scale = 2 if operation.upscale else 1
    return _under(operation.ifm.shape[axis], operation.ofm.shape[axis], clipped_block(operation)[axis], scale, window)


@lru_cache(REMEMBERED)
def _under(ifm: int, ofm: int, block: int, scale: int, window: tuple[int, int, int, int]) -> Spans:
    """Parts of an axis of `ifm` under the blocks of one of `ofm`: windows of size, stride, dilation, padding before."""
    size, stride, dilation, before = window
    found: list[Steps] = []
    reach = max(1, SUB_KERNEL // dilation)
    for left in range(0, size, reach):
        right = min(left + reach, size) - 1
        for first in range(0, ofm, block):
            last = min(first + block, ofm) - 1
            low = max(0, first * stride - before + left * dilation) // scale
            high = -(-min(ifm * scale, last * stride - before + right * dilation + 1) // scale)
            if high > low:
                _append(found, low, high - low)
    return tuple(found)


def _append(spans: list[Steps], first: int, length: int) -> None:
    """Adds a part to `spans`: to the last steps if it is the next of them."""
    if spans and spans[-1].length == length:
        start, _, step, count = spans[-1]
        if count == 1 or first == start + count * step:
            spans[-1] = Steps(start, length, (first - start) // count, count + 1)
            return
    spans.append(Steps(first, length, 0, 1))


def _access(
    feature_map: FeatureMap, rows: Spans, columns: Spans, channels: Spans, beat_bytes: int, brick: int
) -> Access:
    """Counts the beats and bursts of all blocks, the product of the three axes; bricks count as `brick` channels."""
    counts = bus_words(Layout.of(feature_map, brick), rows, columns, channels, beat_bytes)
    return Access(feature_map.region, *counts)
