"""Elementwise operations on one or two feature maps.

ADD and SUB of 8 and 16 bits first rescale both operands to a common scale, as TensorFlow's reference kernels do.  Each
operand has its own factor, or one is shifted left by 20 bits (15 for 16-bit elements) and scaled while the other is
shifted by one bit less (the reference halves it).  MUL of 32 bits uses only the shift of its scale: its result is the
high part of a Q31 product, and it saturates where other 32-bit results wrap.  MIN, MAX, CLZ, SHR and SHL are not
scaled; SHR rounds half up unless it truncates.  (All found by comparing with the reference.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hil.npu.arithmetic.native_steps import native_elementwise
from hil.npu.arithmetic.output import OutputStage
from hil.npu.arithmetic.scaling import Int64, rescale
from hil.npu.native.records import NativeStep
from hil.npu.stream.feature_map import FeatureMap, Regions
from hil.npu.stream.operations import UNARY, Elementwise, Kind, Rounding


@dataclass(frozen=True)
class ElementwiseStep:
    """Computes an elementwise operation."""

    operation: Elementwise
    stage: OutputStage

    @cached_property
    def native(self) -> NativeStep | None:
        """The same for the compiled code, None if only NumPy computes it."""
        return native_elementwise(self.operation, self.stage)

    def __call__(self, memory: Regions) -> None:
        """Computes the output of every sample of `memory`."""
        elementwise(self.operation, self.stage, memory)


def elementwise(operation: Elementwise, stage: OutputStage, memory: Regions) -> None:
    """Computes an elementwise operation for every sample of `memory`."""
    if operation.kind in UNARY:
        result = _unary(operation, _read(operation.ifm, operation.ifm_zero_point, memory))
    else:
        result = _binary(operation, memory)
    operation.ofm.store(memory, stage(result))


def _read(feature_map: FeatureMap, zero_point: int, memory: Regions) -> Int64:
    values: Int64 = feature_map.read(memory, np.int64)
    values -= zero_point
    return values


def _unary(operation: Elementwise, values: Int64) -> Int64:
    if operation.kind is Kind.ABS:
        return np.abs(values)
    if operation.kind is Kind.CLZ:
        # A float64 holds any 32-bit integer, so its exponent counts the bits exactly.
        _, bits = np.frexp(values.astype(np.float64))
        return np.where(values < 0, 0, 32 - bits.astype(np.int64))
    if operation.scale is None:
        return values
    scaled = rescale(values, operation.scale.factor, operation.scale.shift, operation.rounding)
    return np.where(values >= 0, values, scaled)


def _binary(operation: Elementwise, memory: Regions) -> Int64:
    # The scales belong to the place in the operation, not to the feature map.
    places = (2, 1) if operation.reversed_operands else (1, 2)
    first = _operand(operation, operation.ifm, operation.ifm_zero_point, places[0], memory)
    second = _operand(operation, operation.ifm2, operation.ifm2_zero_point, places[1], memory)
    if operation.reversed_operands:
        first, second = second, first
    match operation.kind:
        case Kind.ADD:
            return first + second
        case Kind.SUB:
            return first - second
        case Kind.MUL:
            return _multiply(operation, first, second)
        case Kind.MIN:
            return np.minimum(first, second)
        case Kind.MAX:
            return np.maximum(first, second)
        case Kind.SHL:
            return first << np.clip(second, 0, 63)
        case _:
            return _shift_right(operation, first, np.clip(second, 0, 63))


def _operand(
    operation: Elementwise, feature_map: FeatureMap | None, zero_point: int, place: int, memory: Regions
) -> Int64:
    """Reads an operand (None: the scalar) less its zero point, for ADD and SUB rescaled to the common scale."""
    scales = operation.kind in (Kind.ADD, Kind.SUB) and operation.ifm.dtype.itemsize < 4
    if feature_map is None:
        assert operation.scalar is not None
        values = np.full((1, 1, 1, 1), operation.scalar - zero_point, np.int64)
        return _common_scale(operation, values, place) if scales else values
    if not scales:
        return _read(feature_map, zero_point, memory)
    if feature_map.dtype.itemsize > 1:
        return _common_scale(operation, _read(feature_map, zero_point, memory), place)
    # Bytes have 256 values: scale those once, then look up.
    every = np.arange(256, dtype=np.uint8).view(feature_map.dtype).astype(np.int64) - zero_point
    return np.take(_common_scale(operation, every, place), feature_map.read(memory).view(np.uint8))


def _common_scale(operation: Elementwise, values: Int64, place: int) -> Int64:
    """Rescales `values` of operand `place` (1 or 2) of ADD or SUB to the common scale."""
    if operation.scaled_operand == 0:
        return values * (operation.scale_a if place == 1 else operation.scale_b).factor
    bits = 20 if operation.ifm.dtype.itemsize == 1 else 15
    if operation.scaled_operand != place:
        return values << (bits - 1)
    scale = operation.scale_a
    return rescale(values << bits, scale.factor, min(scale.shift + bits, 62), operation.operand_rounding)


def _multiply(operation: Elementwise, first: Int64, second: Int64) -> Int64:
    product: Int64 = first * second
    if operation.ifm.dtype.itemsize < 4:
        return product
    shift = operation.scale.shift if operation.scale else 0
    limits = np.iinfo(np.int32)
    return np.clip(rescale(product, 1, shift, operation.rounding), limits.min, limits.max)


def _shift_right(operation: Elementwise, values: Int64, shift: Int64) -> Int64:
    if operation.rounding is not Rounding.TRUNCATE:
        values = values + np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return values >> shift
