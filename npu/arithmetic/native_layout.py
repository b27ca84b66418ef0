"""Feature maps, windows and output stages as the compiled code reads them.

kept: list[Array] = []
record = map_record(feature_map, kept)      # None if it has no such form; `kept` gets the arrays it refers to
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic.output import OutputStage
from hil.npu.native import records
from hil.npu.native.library import address
from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.operations import Upscale, Windowed

_INT16 = np.iinfo(np.int16)


def kept_address(array: Any, dtype: Any, kept: list[Array]) -> int:
    """Address of `array` as `dtype`, contiguous, which is appended to `kept`."""
    kept.append(np.ascontiguousarray(array, dtype))
    return address(kept[-1])


def map_record(feature_map: FeatureMap, kept: list[Array]) -> records.Map | None:
    """Makes the record; None if an access would leave the extent that a program checks, or rows are cut elsewhere."""
    height, width, depth = feature_map.shape
    places = pixel_offsets(feature_map)
    step = BRICK * feature_map.dtype.itemsize if feature_map.bricks else feature_map.strides[1]
    splits = {tile.left for tile in feature_map.tiles} - {0}
    split = min(splits, default=width)
    left, right = places[:, 0], places[:, min(split, width - 1)] - min(split, width - 1) * step
    columns = np.arange(width)
    if not (np.where(columns < split, left[:, None], right[:, None]) + columns * step == places).all():
        return None
    if not within_extent(feature_map):
        return None
    size = feature_map.dtype.itemsize
    return records.Map(
        feature_map.region, size, feature_map.dtype.kind == "i", height, width, depth, split, step,
        feature_map.strides[2] if feature_map.bricks else BRICK * size,
        kept_address(left, np.int64, kept), kept_address(right, np.int64, kept),
    )  # fmt: skip


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
    """True if all bytes that compiled code accesses are within the extent that a program checks before it runs."""
    size, depth = feature_map.dtype.itemsize, feature_map.shape[2]
    starts = np.arange(0, depth, BRICK)
    steps = starts // BRICK * feature_map.strides[2] if feature_map.bricks else starts * size
    ends = steps + np.minimum(BRICK, depth - starts) * size
    places, (low, high) = pixel_offsets(feature_map), feature_map.extent()
    return bool(places.min() + steps.min() >= low and places.max() + ends.max() <= high)


def padded_shape(operation: Windowed) -> tuple[int, int]:
    """Height and width that the windows of `operation` cover."""
    kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
    height = (out_h - 1) * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
    return height, (out_w - 1) * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1


def window_record(operation: Windowed) -> records.Window | None:
    """Makes the record; None if the IFM does not fill the room that the padding leaves."""
    kernel, padding, (height, width) = operation.kernel, operation.padding, padded_shape(operation)
    inside = [height - padding.top - padding.bottom, width - padding.left - padding.right]
    given = operation.ifm.shape[:2]
    by = 1 if operation.upscale is Upscale.NONE else 2
    if any(-(-room // by) > there for room, there in zip(inside, given, strict=True)):
        return None
    return records.Window(
        kernel.height, kernel.width, kernel.stride_y, kernel.stride_x, kernel.dilation_y, kernel.dilation_x,
        padding.top, padding.left, height, width, *inside, int(operation.upscale),
    )  # fmt: skip


def stage_record(stage: OutputStage, channels: int, kept: list[Array]) -> records.Stage | None:
    """Makes the record for an OFM of `channels`; None if the code does not compute such scales or tables."""
    interpolated = stage.slope is not None
    low, high = stage.activation.minimum, stage.highest
    if stage.wide or (interpolated and (stage.activation.wraps or low < _INT16.min or high > _INT16.max)):
        return None
    mode = 0 if stage.factor is None else 1 if stage.fits_floats else 2

    def by_channel(values: Any, dtype: Any) -> int:
        every = np.zeros(1, dtype) if values is None else values
        return kept_address(np.broadcast_to(every, channels), dtype, kept)

    _, multiplier, half, nudge = stage.float_constants if mode == 1 else (None, None, None, None)
    table, slope = (0 if part is None else kept_address(part, np.int64, kept) for part in (stage.table, stage.slope))
    return records.Stage(
        mode, int(stage.rounding), stage.zero_point, low, high, stage.activation.wraps, int(stage.activation.function),
        0 if stage.table is None else 2 if interpolated else 1, bool(stage.activation.index_signed),
        by_channel(stage.bias, np.int64), by_channel(stage.factor, np.int64), by_channel(stage.shift, np.int64),
        by_channel(multiplier, np.float64), by_channel(half, np.float64), by_channel(nudge, np.float64), table, slope,
    )  # fmt: skip


def overlap(first: FeatureMap, second: FeatureMap) -> bool:
    """True if the two feature maps may share a byte."""
    (low, high), (begin, end) = first.extent(), second.extent()
    return first.region == second.region and low < end and begin < high


def laid_out_alike(first: FeatureMap, second: FeatureMap) -> bool:
    """True if each element of one lies where it lies in the other."""
    return (first.shape, first.dtype.itemsize, first.bricks, first.strides, first.tiles) == (
        second.shape, second.dtype.itemsize, second.bricks, second.strides, second.tiles,
    )  # fmt: skip
