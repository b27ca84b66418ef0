"""Elementwise operations on one or two feature maps.

ADD and SUB of 8 and 16 bits bring both operands to one scale first, as TensorFlow's reference kernels do.  Either both
are multiplied by a factor of their own, or one is shifted left by 20 bits (15 for 16-bit elements) and scaled, the
other shifted by one bit less (the reference halves it).  MUL of 32 bits uses only the shift of its scale: it is the
high part of a Q31 product.  MIN, MAX, CLZ, SHR and SHL are not scaled; SHR rounds half up unless it truncates.  (All
found by comparing with the reference.)
"""

from __future__ import annotations

import numpy as np

from hil.npu import acceleration
from hil.npu.featuremap import FeatureMap, Memory
from hil.npu.operations import UNARY, Elementwise, Kind, Rounding
from hil.npu.output import OutputStage
from hil.npu.scaling import Int64, rescale


def elementwise(operation: Elementwise, stage: OutputStage, memory: Memory) -> None:
    """Computes an elementwise operation of every sample of `memory`."""
    if operation.kind in UNARY:
        result = _unary(operation, _read(operation.ifm, operation.ifm_zero_point, memory))
    else:
        result = _binary(operation, memory)
    loops = acceleration.loops(result.size)
    operation.ofm.store(memory, stage(result, loops))


def _read(feature_map: FeatureMap, zero_point: int, memory: Memory) -> Int64:
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


def _binary(operation: Elementwise, memory: Memory) -> Int64:
    first = _operand(operation, memory, 1)
    second = _operand(operation, memory, 2)
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


def _operand(operation: Elementwise, memory: Memory, number: int) -> Int64:
    """Operand 1 or 2 less its zero point, for ADD and SUB brought to the common scale."""
    feature_map = operation.ifm if number == 1 else operation.ifm2
    zero_point = operation.ifm_zero_point if number == 1 else operation.ifm2_zero_point
    scales = operation.kind in (Kind.ADD, Kind.SUB) and operation.ifm.dtype.itemsize < 4
    if feature_map is None:
        assert operation.scalar is not None
        values = np.full((1, 1, 1, 1), operation.scalar - zero_point, np.int64)
        return _common_scale(operation, values, number) if scales else values
    if not scales:
        return _read(feature_map, zero_point, memory)
    if feature_map.dtype.itemsize > 1:
        return _common_scale(operation, _read(feature_map, zero_point, memory), number)
    # Bytes have 256 values: scale those once, then look up.
    every = np.arange(256, dtype=np.uint8).view(feature_map.dtype).astype(np.int64) - zero_point
    return np.take(_common_scale(operation, every, number), feature_map.read(memory).view(np.uint8))


def _common_scale(operation: Elementwise, values: Int64, number: int) -> Int64:
    if operation.scaled_operand == 0:
        return values * (operation.scale_a if number == 1 else operation.scale_b).factor
    bits = 20 if operation.ifm.dtype.itemsize == 1 else 15
    if operation.scaled_operand != number:
        return values << (bits - 1)
    scale = operation.scale_a
    return rescale(values << bits, scale.factor, min(scale.shift + bits, 62), operation.operand_rounding)


def _multiply(operation: Elementwise, first: Int64, second: Int64) -> Int64:
    product: Int64 = first * second
    if operation.ifm.dtype.itemsize < 4:
        return product
    shift = operation.scale.shift if operation.scale else 0
    return rescale(product, 1, shift, operation.rounding)


def _shift_right(operation: Elementwise, values: Int64, shift: Int64) -> Int64:
    if operation.rounding is not Rounding.TRUNCATE:
        values = values + np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return values >> shift
