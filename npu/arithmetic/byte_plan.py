"""Packs a convolution's weights, scales and addresses into the arguments of `byte_loops`.

    plan = BytePlan.prepare(operation, weights, stage)        # None if bytes do not suffice
    plan(memory, loops)

For convolutions (and average pools, whose weights are 1) from 8-bit IFM to 8-bit OFM.  Signed inputs become unsigned by
adding 128; the bias, at which the sums start, compensates for that and for the zero point.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic.exactness import fits_dot_products, fits_rounding
from hil.npu.arithmetic.output import OutputStage
from hil.npu.loops.byte_arguments import InputCopy, OutputLayout
from hil.npu.stream.feature_map import BRICK, FeatureMap, Regions
from hil.npu.stream.operations import Kind, Upscale, Windowed

LANES = 16
"""Channels computed at a time, one per 32-bit lane of a vector."""

GROUP_BYTES = 1 << 17
"""Bytes of padded input copied at a time, in whole samples; one sample may exceed it."""

_MOVED = 64


@dataclass(frozen=True)
class BytePlan:
    """Arguments of `byte_loops.convolve` or, if `groups` is 0, `byte_loops.depthwise`."""

    source: int
    target: int
    fixed: NDArray[np.int64]
    groups: int
    arrays: tuple[Array, ...]

    @classmethod
    def prepare(cls, operation: Windowed, weights: NDArray[np.int16], stage: OutputStage) -> BytePlan | None:
        """Makes the plan for `weights` of shape (output depth, height, width, input depth; 1 if depthwise).

        Returns None for 16-bit feature maps, 9-bit weights, upscaled IFMs, scaling that float64 does not hold, and sums
        that may exceed 32 bits.
        """
        ifm, ofm, zero_point = operation.ifm, operation.ofm, operation.ifm_zero_point
        offset = 128 if ifm.dtype == np.int8 else 0
        fill = zero_point + offset
        whole = operation.kind is Kind.CONV
        if ifm.dtype.itemsize > 1 or not 0 <= fill <= 255 or operation.upscale is not Upscale.NONE:
            return None
        if not stage.fits_bytes or (whole and (weights.min() < -128 or weights.max() > 127)):
            return None
        if not whole and ifm.shape[2] != ofm.shape[2]:
            return None
        first = (0 if stage.bias is None else stage.bias) - fill * weights.sum(axis=(1, 2, 3), dtype=np.int64)
        assert stage.factor is not None
        assert stage.shift is not None
        if not (fits_dot_products(weights, first) and fits_rounding(weights, first, stage.factor, stage.shift)):
            return None
        copy, pieces = _input_copy(operation, offset, fill)
        if not (within_extent(ifm) and within_extent(ofm)) or pieces[1].max() + copy.length > copy.size:
            return None
        rows, runs = _windows(operation, whole)
        channels = -(-ofm.shape[2] // LANES) * LANES
        constants = _widened(first, channels, np.int32), _scales(stage, channels), stage.byte_table
        if whole:
            groups = -(-(weights.shape[2] * weights.shape[3] // (len(runs) // weights.shape[1])) // 4)
            blocks = _blocks(channels // LANES)
            packed = _packed(weights.reshape(len(weights), len(runs), -1), groups, blocks)
            arrays: tuple[Array, ...] = (pieces, rows, runs, np.array(blocks, np.int64), packed, *constants)
        else:
            groups = 0
            pairs = np.zeros((len(runs), channels, 2), np.int16)
            pairs[:, : len(weights), 0] = weights.reshape(len(weights), -1).T
            arrays = pieces, rows, runs, pairs, *constants
        output = OutputLayout(ofm.shape[2], ofm.strides[2] if ofm.bricks else LANES, *stage.byte_limits)
        # One array of all numbers, because numba takes a microsecond for a tuple.
        return cls(ifm.region, ofm.region, np.array([*copy, *output], np.int64), groups, arrays)

    def __call__(self, memory: Regions, loops: ModuleType) -> None:
        """Computes the operation for every sample of `memory`; `loops` is the module `byte_loops`."""
        source, target = memory[self.source], memory[self.target]
        places = source.ctypes.data, source.strides[0], target.ctypes.data, target.strides[0], len(target)
        if self.groups:
            loops.convolve(*places, self.fixed, self.groups, *self.arrays)
        else:
            loops.depthwise(*places, self.fixed, *self.arrays)


def pixel_offsets(feature_map: FeatureMap) -> NDArray[np.int64]:
    """Offset of each pixel's first channel in the region; shape (height, width)."""
    stride_y, stride_x, _ = feature_map.strides
    if feature_map.bricks:
        stride_x = BRICK * feature_map.dtype.itemsize
    result = np.empty(feature_map.shape[:2], np.int64)
    for tile in feature_map.tiles:
        rows, columns = np.arange(tile.bottom - tile.top)[:, None], np.arange(tile.right - tile.left)
        result[tile.top : tile.bottom, tile.left : tile.right] = tile.address + rows * stride_y + columns * stride_x
    return result


def within_extent(feature_map: FeatureMap) -> bool:
    """True if all bytes that the loops access are within the extent that a program checks before it runs."""
    depth = feature_map.shape[2]
    starts = np.arange(0, depth, BRICK)
    steps = starts // BRICK * feature_map.strides[2] if feature_map.bricks else starts
    ends = steps + np.minimum(BRICK, depth - starts)
    places, (low, high) = pixel_offsets(feature_map), feature_map.extent()
    return bool(places.min() + steps.min() >= low and places.max() + ends.max() <= high)


def _padded_shape(operation: Windowed) -> tuple[int, int]:
    kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
    height = (out_h - 1) * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
    return height, (out_w - 1) * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1


def _input_copy(operation: Windowed, flip: int, fill: int) -> tuple[InputCopy, NDArray[np.int64]]:
    """Parameters of the copy, and the offsets of its pieces in the region and in the buffer."""
    ifm, padding = operation.ifm, operation.padding
    height, width = _padded_shape(operation)
    in_h, in_w, depth = ifm.shape
    places = pixel_offsets(ifm)
    rows, columns = np.arange(in_h)[:, None] + padding.top, np.arange(in_w) + padding.left
    inside = (rows * width + columns) * depth
    length, unit, step = depth, _MOVED, _MOVED
    if ifm.bricks:
        unit, step = BRICK, ifm.strides[2]
    elif (np.diff(places, axis=1) == depth).all():  # A row of pixels is one piece.
        places, inside, length = places[:, :1], inside[:, :1], in_w * depth
    size = height * width * depth
    pieces = np.stack([places.ravel(), inside.ravel()])
    return InputCopy(length, unit, step, flip, fill, size, max(1, GROUP_BYTES // size)), pieces


def _windows(operation: Windowed, whole: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arguments (rows, runs) of `byte_loops.convolve`; a kernel row is one run if its elements are adjacent."""
    kernel, (out_h, out_w, _), depth = operation.kernel, operation.ofm.shape, operation.ifm.shape[2]
    _, width = _padded_shape(operation)
    tops, lefts = np.arange(out_h)[:, None] * kernel.stride_y, np.arange(out_w) * kernel.stride_x
    rows = np.stack([((tops * width + lefts) * depth).ravel(), pixel_offsets(operation.ofm).ravel()])
    columns = 1 if whole and kernel.dilation_x == 1 else kernel.width
    ys, xs = np.arange(kernel.height)[:, None] * kernel.dilation_y, np.arange(columns) * kernel.dilation_x
    return rows, ((ys * width + xs) * depth).ravel()


def _blocks(vectors: int) -> list[int]:
    """Splits `vectors` vectors of sums into blocks of 3 and 2, and 1 only if there is one."""
    blocks = []
    while vectors:
        blocks.append(3 if vectors == 3 or vectors > 4 else min(vectors, 2))
        vectors -= blocks[-1]
    return blocks


def _packed(weights: Array, groups: int, blocks: list[int]) -> NDArray[np.int8]:
    """Packs weights (output depth, runs, bytes of a run) in the order in which `dot_products.products` reads them."""
    depth, runs, length = weights.shape
    padded = np.zeros((sum(blocks) * LANES, runs, groups * 4), np.int8)
    padded[:depth, :, :length] = weights
    parts, at = [], 0
    for block in blocks:
        part = padded[at : at + block * LANES].reshape(block, LANES, runs, groups, 4)
        parts.append(part.transpose(2, 3, 0, 1, 4).ravel())
        at += block * LANES
    return np.concatenate(parts)


def _widened(values: Array, channels: int, dtype: Any) -> Array:
    result = np.zeros(channels, dtype)
    result[: len(values)] = values
    return result


def _scales(stage: OutputStage, channels: int) -> NDArray[np.float64]:
    """Scaling constants of `dot_products.products` per channel: multiplier, addend, extra addend of negative sums."""
    _, multiplier, half, nudge = stage.float_constants
    result = np.zeros((3, channels))
    depth = channels if len(multiplier) == 1 else len(multiplier)
    result[0, :depth], result[1, :depth], result[2, :depth] = multiplier, half + nudge, -2 * nudge
    return result
