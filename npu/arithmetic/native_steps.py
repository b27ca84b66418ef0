"""Steps for the compiled code, made from operations; None where only NumPy computes an operation.

    step = native_convolution(operation, weights, stage)
    step = native_pool(operation, stage, divisors)
    step = native_elementwise(operation, stage)

All equal the functions of the other modules here bit for bit, which tests compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic import native_packing as packing
from hil.npu.arithmetic.exactness import (
    FLOAT32_MARGIN,
    ZERO_POINT,
    fits_dot_products,
    fits_float32,
    fits_int32,
    fits_rounding,
    largest_input,
)
from hil.npu.arithmetic.native_layout import (
    kept_address,
    laid_out_alike,
    map_record,
    overlap,
    stage_record,
    window_record,
)
from hil.npu.arithmetic.output import OutputStage
from hil.npu.native import library, records
from hil.npu.native.records import NativeStep
from hil.npu.stream.operations import Dma, Elementwise, Kind, Rounding, Scale, Upscale, Windowed

PAIRS = 1 << 16
"""Pairs of two bytes, whose results an elementwise operation tabulates once it has computed as many elements."""

STORED = 32
"""Cost of scaling and storing an element, in multiplications."""

CHUNK = 128
"""Pairs of products of an input of 16 bits and a weight whose sum fits 32 bits: 256 * 255 * 2**15 < 2**31."""

_KINDS = (*(Kind.MUL, Kind.ADD, Kind.SUB, Kind.MIN, Kind.MAX, Kind.LRELU, Kind.ABS, Kind.CLZ, Kind.SHR, Kind.SHL),)


def native_convolution(operation: Windowed, weights: NDArray[np.int16], stage: OutputStage) -> NativeStep | None:
    """Prepares a convolution with `weights` of shape (output depth, height, width, input depth; 1 by channel)."""
    ifm, ofm, zero_point = operation.ifm, operation.ofm, operation.ifm_zero_point
    whole = operation.kind is Kind.CONV
    kept: list[Array] = []
    source, target, window = map_record(ifm, kept), map_record(ofm, kept), window_record(operation)
    finish = stage_record(stage, ofm.shape[2], kept)
    if source is None or target is None or window is None or finish is None:
        return None
    if not whole and ifm.shape[2] != ofm.shape[2]:
        return None
    at_once = overlap(ifm, ofm)
    offset = 128 if ifm.dtype == np.int8 else 0
    zeros = zero_point * weights.sum(axis=(1, 2, 3), dtype=np.int64)
    first = (0 if stage.bias is None else stage.bias) - zeros - offset * weights.sum(axis=(1, 2, 3), dtype=np.int64)
    operands = _operands(operation, weights, stage, first) if whole or not at_once else records.ANY_OPERANDS
    form = packing.DOTS if operands == records.DOTS_OF_BYTES else packing.PAIRS
    if operands != records.ANY_OPERANDS and whole:
        packed = packing.whole_bytes(form, operation, weights, at_once)
    elif operands != records.ANY_OPERANDS:
        packed = packing.channel_bytes(form, operation, weights)
    elif _fits_int16(operation):
        packed = (packing.whole_pairs if whole else packing.channel_elements)(operation, weights)
    else:
        return None
    fits = fits_int32(weights, largest_input(ifm.dtype, zero_point))
    runs = len(packed.offsets)
    data = records.Convolution(
        source, target, window, finish, whole, zero_point, fits, runs * packed.groups + 1 if fits else CHUNK,
        operands, offset, zero_point + offset, 0, 0, packed.tile_rows, packed.tile_samples, runs, packed.groups,
        -(-ofm.shape[2] // packing.LANES), kept_address(packed.offsets, np.int64, kept),
        kept_address(packed.weights, packed.weights.dtype, kept),
    )  # fmt: skip
    if operands != records.ANY_OPERANDS:
        _add_byte_constants(data, form, weights, stage, first, kept)
    work = ofm.shape[0] * ofm.shape[1] * weights.size + STORED * ofm.elements
    return NativeStep(records.CONVOLUTION, packed.scratch, data, tuple(kept), ifm.elements + ofm.elements, work)


def _fits_int16(operation: Windowed) -> bool:
    """True if 16 bits hold inputs less their zero point."""
    limits, zero_point = np.iinfo(operation.ifm.dtype), operation.ifm_zero_point
    return (
        operation.ifm.dtype.itemsize < 4 and -(1 << 15) <= limits.min - zero_point <= limits.max - zero_point < 1 << 15
    )


def _operands(operation: Windowed, weights: NDArray[np.int16], stage: OutputStage, first: NDArray[np.int64]) -> int:
    """Chooses the operands that this CPU multiplies fastest, of those with which 32 bits hold the sums.

    `first` is the bias for inputs made unsigned, with what compensates for that and for the zero point.
    """
    ifm, limits, found = operation.ifm, np.iinfo(operation.ofm.dtype), library.loaded()
    fill = operation.ifm_zero_point + (128 if ifm.dtype == np.int8 else 0)
    if ifm.dtype.itemsize > 1 or not 0 <= fill <= 255 or operation.upscale is not Upscale.NONE:
        return records.ANY_OPERANDS
    if (
        not (stage.fits_bytes and abs(stage.zero_point) <= ZERO_POINT)
        or stage.activation.minimum < limits.min
        or stage.highest > limits.max
    ):
        return records.ANY_OPERANDS
    assert stage.factor is not None
    assert stage.shift is not None
    if not (fits_dot_products(weights, first) and fits_rounding(weights, first, stage.factor, stage.shift)):
        return records.ANY_OPERANDS
    bytes_hold = weights.min() >= -128 and weights.max() <= 127
    vectors = found is not None and found.level >= library.VNNI
    return records.DOTS_OF_BYTES if vectors and bytes_hold else records.PAIRS_OF_BYTES


def _add_byte_constants(
    data: records.Convolution,
    form: packing.Form,
    weights: NDArray[np.int16],
    stage: OutputStage,
    first: NDArray[np.int64],
    kept: list[Array],
) -> None:
    assert stage.factor is not None
    assert stage.shift is not None
    factor, shift, _ = np.broadcast_arrays(stage.factor, stage.shift, first)
    twice = ((shift > 31) & (stage.rounding is Rounding.TFL)).astype(np.int64)
    # A negative sum less half is at most 0 with either nudge, so that a limit of 0 or more is its result.
    data.two_sided = bool(twice.any()) and stage.activation.minimum < stage.zero_point
    nudge = twice << 31 if data.two_sided else np.zeros_like(twice)
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    rounding = half + (twice << 30) - nudge - (factor << 31) + np.iinfo(np.int64).min
    scales = np.zeros(data.vectors, records.SCALES)
    for name, values in (("factor", factor), ("rounding", rounding), ("shift", shift), ("nudge", nudge)):
        scales[name] = form.even_and_odd(values).astype(np.uint64)
    zero_point = np.uint64(stage.zero_point & ((1 << 32) - 1))
    scales["offset"] = form.by_channel((np.uint64(1 << 63) >> shift.astype(np.uint64)) - zero_point)
    _, multiplier, halves, nudges = (np.broadcast_to(values, first.shape) for values in stage.float_constants)
    added = halves + nudges - 0.5 + stage.zero_point  # Rounded to nearest is what a half more is rounded down.
    scales["low"], scales["high"] = (form.by_channel(added + e) for e in (-FLOAT32_MARGIN, FLOAT32_MARGIN))
    scales["multiplier"], scales["nudged"] = form.by_channel(multiplier), form.by_channel(-2 * nudges)
    reach = max(abs(stage.activation.minimum - stage.zero_point), abs(stage.highest - stage.zero_point))
    data.fast = fits_float32(weights, first, stage.factor, stage.shift, reach)
    data.scales = kept_address(scales, records.SCALES, kept)
    data.first = kept_address(form.by_channel(first), np.int32, kept)
    if stage.table is not None:
        data.table = kept_address(stage.byte_table, np.uint8, kept)


def native_pool(
    operation: Windowed, stage: OutputStage, divisors: tuple[NDArray[np.int64], NDArray[np.int64]] | None
) -> NativeStep | None:
    """Prepares a pool; `divisors` are (factor, shift) by position, if not the stage divides by the count."""
    ifm, ofm = operation.ifm, operation.ofm
    if operation.kind is Kind.AVERAGE_POOL and divisors is None:
        ones = np.ones((ofm.shape[2], operation.kernel.height, operation.kernel.width, 1), np.int16)
        average = native_convolution(operation, ones, stage)
        if average is not None:
            return average
    kept: list[Array] = []
    source, target, window = map_record(ifm, kept), map_record(ofm, kept), window_record(operation)
    finish = stage_record(stage, ofm.shape[2], kept)
    if source is None or target is None or window is None or finish is None:
        return None
    function = {Kind.MAX_POOL: 0, Kind.AVERAGE_POOL: 1, Kind.REDUCE_SUM: 2}[operation.kind]
    if function < 2 and ifm.shape[2] != ofm.shape[2]:
        return None
    factor, shift = (0, 0) if divisors is None else (kept_address(part, np.int64, kept) for part in divisors)
    lowest = int(np.iinfo(ifm.dtype).min)
    data = records.Pool(source, target, window, finish, function, operation.ifm_zero_point, lowest, factor, shift)
    sizes = ifm.elements * ifm.dtype.itemsize + ofm.elements * ofm.dtype.itemsize
    work = 10 * ofm.elements * operation.kernel.height * operation.kernel.width
    return NativeStep(records.POOL, ofm.elements * ofm.dtype.itemsize, data, tuple(kept), sizes, work)


def native_elementwise(operation: Elementwise, stage: OutputStage) -> NativeStep | None:
    """Prepares an elementwise operation."""
    ifm, ofm = operation.ifm, operation.ofm
    second = operation.ifm2 or ifm
    kept: list[Array] = []
    maps = [map_record(fm, kept) for fm in (ifm, second, ofm)]
    finish = stage_record(stage, ofm.shape[2], kept)
    if finish is None or any(found is None for found in maps):
        return None
    if any(length not in (1, whole) for fm in (ifm, second) for length, whole in zip(fm.shape, ofm.shape, strict=True)):
        return None
    whole_first = any(overlap(fm, ofm) and not laid_out_alike(fm, ofm) for fm in (ifm, second))
    scale = operation.scale or Scale(0, 0)
    data = records.Elementwise(
        *maps, finish, _KINDS.index(operation.kind), operation.ifm2 is not None, operation.scalar or 0,
        operation.ifm_zero_point, operation.ifm2_zero_point, operation.reversed_operands, operation.scaled_operand,
        int(operation.operand_rounding), whole_first, operation.scale_a.factor, operation.scale_a.shift,
        operation.scale_b.factor, operation.scale is not None, scale.factor, scale.shift,
    )  # fmt: skip
    every = all(fm.dtype.itemsize == 1 and fm.shape[2] == ofm.shape[2] for fm in (ifm, second, ofm))
    if every and not whole_first and (stage.bias is None or len(stage.bias) == 1):
        data.pairs = kept_address(np.zeros(PAIRS, np.uint8), np.uint8, kept)
    sizes = sum(fm.elements * fm.dtype.itemsize for fm in (ifm, second, ofm))
    rows = ofm.shape[0] if whole_first else 1
    scratch = rows * ofm.shape[1] * ofm.shape[2] * ofm.dtype.itemsize
    return NativeStep(records.ELEMENTWISE, scratch, data, tuple(kept), sizes, 10 * ofm.elements)


def native_copy(operation: Dma) -> NativeStep:
    """Prepares a DMA."""
    kept: list[Array] = []
    pieces = len(operation.sources)
    data = records.Copy(
        operation.source_region, operation.destination_region, operation.length, pieces,
        kept_address(operation.sources, np.int64, kept), kept_address(operation.destinations, np.int64, kept),
    )  # fmt: skip
    return NativeStep(records.COPY, 0, data, tuple(kept), 2 * pieces * operation.length, pieces * operation.length // 8)
