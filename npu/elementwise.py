"""Elementwise operations on one or two feature maps.

ADD and SUB of 8 and 16 bits bring both operands to one scale first, as TensorFlow's reference kernels do.  Either both
are multiplied by a factor of their own, or one is shifted left by 20 bits (15 for 16-bit elements) and scaled, the
other shifted by one bit less (the reference halves it).  MUL of 32 bits uses only the shift of its scale: it is the
high part of a Q31 product.  MIN, MAX, CLZ, SHR and SHL are not scaled; SHR rounds half up unless
it truncates.  (All found by comparing with the reference.)
"""

from __future__ import annotations

import numpy as np

from hil.npu.featuremap import Memory
from hil.npu.operations import UNARY, Elementwise, Kind, Rounding
from hil.npu.output import OutputStage
from hil.npu.scaling import Int64, rescale


def elementwise(operation: Elementwise, stage: OutputStage, memory: Memory) -> None:
    """Computes an elementwise operation of every sample of `memory`."""
    first: Int64 = operation.ifm.read(memory, np.int64)
    first -= operation.ifm_zero_point
    result = _unary(operation, first) if operation.kind in UNARY else _binary(operation, first, memory)
    operation.ofm.store(memory, stage(result))


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


def _binary(operation: Elementwise, first: Int64, memory: Memory) -> Int64:
    second: Int64
    if operation.ifm2 is None:
        second = np.full((1, 1, 1, 1), operation.scalar, np.int64)
    else:
        second = operation.ifm2.read(memory, np.int64)
    second = second - operation.ifm2_zero_point
    if operation.kind in (Kind.ADD, Kind.SUB) and operation.ifm.dtype.itemsize < 4:
        first, second = _common_scale(operation, first, second)
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


def _common_scale(operation: Elementwise, first: Int64, second: Int64) -> tuple[Int64, Int64]:
    scale_a, scale_b = operation.scale_a, operation.scale_b
    if operation.scaled_operand == 0:
        return first * scale_a.factor, second * scale_b.factor
    bits = 20 if operation.ifm.dtype.itemsize == 1 else 15

    def scaled(values: Int64) -> Int64:
        return rescale(values << bits, scale_a.factor, min(scale_a.shift + bits, 62), operation.operand_rounding)

    if operation.scaled_operand == 1:
        return scaled(first), second << (bits - 1)
    return first << (bits - 1), scaled(second)


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
