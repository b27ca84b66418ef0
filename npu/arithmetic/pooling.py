"""Pooling: MAX_POOL, AVERAGE_POOL, and REDUCE_SUM over depth.

An average is a sum that the output scale divides.  With padding, the hardware instead divides by the number of elements
outside the padding and ignores OFM_SCALE.  The reciprocal of that count n is `2**(31+k)/n` rounded up a little, k the
bits of n-1.  (Found by comparing with the reference kernels; the reciprocal is
Vela's `quantise_pooling_scale`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hil.core.arrays import Array
from hil.npu.arithmetic.convolution import padded_input, windows
from hil.npu.arithmetic.exactness import INT32, fits_int64, largest_accumulator
from hil.npu.arithmetic.native_layout import padded_shape
from hil.npu.arithmetic.native_steps import native_pool
from hil.npu.arithmetic.output import OutputStage
from hil.npu.arithmetic.scaling import Int64, rescale
from hil.npu.native.records import NativeStep
from hil.npu.stream.feature_map import Regions
from hil.npu.stream.operations import Kind, Windowed


@dataclass(frozen=True)
class PoolStep:
    """Computes a MAX_POOL, AVERAGE_POOL or REDUCE_SUM."""

    operation: Windowed
    stage: OutputStage

    @cached_property
    def native(self) -> NativeStep | None:
        """The same for the compiled code, None if only NumPy computes it."""
        operation = self.operation
        if operation.kind is not Kind.AVERAGE_POOL or not operation.padding:
            return native_pool(operation, self.stage, None)
        factor, shift = _divisors(operation)
        if not fits_int64(largest_accumulator(operation), factor, shift):
            return None
        return native_pool(operation, self.stage, (factor, shift))

    def __call__(self, memory: Regions) -> None:
        """Computes the output of every sample of `memory`."""
        self.operation.ofm.store(memory, self.stage(_pooled(self.operation, memory)))


def _pooled(operation: Windowed, memory: Regions) -> Array:
    if operation.kind is Kind.MAX_POOL:
        limits, zero_point = np.iinfo(operation.ifm.dtype), operation.ifm_zero_point
        # Between elements there are zero points, which need not be numbers of the type.
        dtype = operation.ifm.dtype if limits.min <= zero_point <= limits.max else np.dtype(np.int32)
        padded = padded_input(operation, memory, dtype, int(limits.min), 0)
        return _reduce(operation, padded, np.maximum).astype(np.int64) - operation.ifm_zero_point
    padded = padded_input(operation, memory, _sum_type(operation), 0, operation.ifm_zero_point)
    result = _reduce(operation, padded, np.add)
    if operation.kind is Kind.REDUCE_SUM:
        result = result.sum(axis=3, keepdims=True)
    elif operation.padding:
        factor, shift = _divisors(operation)
        if not fits_int64(largest_accumulator(operation), factor, shift):
            result = result.astype(object)
        result = rescale(result, factor, shift, operation.rounding).astype(np.int64)
    return result


def _sum_type(operation: Windowed) -> type[np.int32] | type[np.int64]:
    """Smallest integer type that holds every sum."""
    return np.int32 if largest_accumulator(operation) < INT32 else np.int64


def reciprocal(count: Int64) -> tuple[Int64, Int64]:
    """Returns (factor, shift) by which the hardware divides by `count`."""
    bits = np.ceil(np.log2(count)).astype(np.int64)
    one = np.int64(1)
    return ((one << (31 + bits)) + (one << bits) + count - 1) // count, 31 + bits


def _reduce(operation: Windowed, padded: Array, function: np.ufunc) -> Array:
    """Reduces each window by `function`, looping over the kernel or over the OFM, whichever is shorter."""
    view = windows(operation, padded)
    out_h, out_w, kernel_h, kernel_w = view.shape[1:5]
    result: Array = view[:, :, :, 0, 0].copy()
    if kernel_h * kernel_w <= out_h * out_w:
        for y, x in np.ndindex(kernel_h, kernel_w):
            if y or x:
                function(result, view[:, :, :, y, x], out=result)
        return result
    for y, x in np.ndindex(out_h, out_w):
        result[:, y, x] = function.reduce(view[:, y, x], axis=(1, 2))
    return result


def _divisors(operation: Windowed) -> tuple[Int64, Int64]:
    """Factor and shift by OFM position, which divide by the kernel's elements outside the padding.

    Shape (1, out height, out width, 1).
    """
    (height, width), padding = padded_shape(operation), operation.padding
    mask = np.zeros((1, height, width, 1), np.int64)
    mask[:, padding.top : height - padding.bottom, padding.left : width - padding.right] = 1
    counts: Int64 = windows(operation, mask).sum(axis=(3, 4))
    return reciprocal(np.maximum(counts, 1))
