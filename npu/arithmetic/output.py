"""The output stage: scale, zero point, clamp, lookup table.

    stage = OutputStage(dtype, rounding, bias, factor, shift, zero_point, activation, largest)
    values = stage(accumulator)          # int64 (batch, h, w, c) -> the output's type

Every block operation ends with this stage.  An accumulator is scaled (`scaling`), the output zero point is added, the
sum is clamped, and if the activation has a lookup table, looked up.  Scaling is exact: in float64 where that is proven
(`exactness`), which is several times faster, else in int64, or in Python's integers where 64 bits may not suffice.
Lookup tables:

* 8-bit input: 256 entries, of the output's width; signed values index from -128;
* 16-bit input: 512 entries of (base, slope), both 16 bits; v gives `base + ((slope*(v & 127) + 64) >> 7)` of entry
  `(v + 32768) >> 7`.

A 32-bit output without a forced range wraps and is not clamped (found by comparing with the reference kernels).

TANH and SIGMOID of 16 bits are the hardware's own: the scaled value, in units of 1/12288, is interpolated in a table of
the logistic function, as TensorFlow Lite's reference kernels do it (all 65,536 inputs compared).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array, Floats
from hil.npu.arithmetic.exactness import fits_float64, fits_int64
from hil.npu.arithmetic.scaling import Int64, rescale
from hil.npu.native.logistic import LOGISTIC
from hil.npu.stream.operations import Activation, BlockOperation, Function, Rounding


@dataclass(frozen=True)
class OutputStage:
    """Turns the accumulators of one operation into its OFM elements.

    `bias`, `factor`, `shift` are arrays by channel, or of one element; without `factor` nothing is scaled.
    `largest` is the largest magnitude of an accumulator (`exactness.largest_accumulator`).
    `table` holds the lookup table's entries, with `slope` beside it if it interpolates.
    """

    dtype: np.dtype[Any]
    rounding: Rounding
    bias: Int64 | None
    factor: Int64 | None
    shift: Int64 | None
    zero_point: int
    activation: Activation
    largest: int
    table: Int64 | None = None
    slope: Int64 | None = None

    def __call__(self, accumulator: Array) -> Array:
        """Converts accumulators (any integer-valued type, last axis channels) to output elements."""
        values = self._scaled_floats(accumulator) if self.fits_floats else self._scaled(accumulator)
        values += self.zero_point
        if self.activation.function is not Function.NONE:
            values = sigmoid_or_tanh(values, self.activation.function)
            return np.clip(values, self.activation.minimum, self.highest, out=values).astype(self.dtype)
        if self.activation.wraps:
            return self._look_up(((values + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)).astype(self.dtype)
        np.maximum(values, self.activation.minimum, out=values)  # np.clip takes three times as long for a few.
        np.minimum(values, self.highest, out=values)
        return (values if self.table is None else self._look_up(values.astype(np.int64))).astype(self.dtype)

    @property
    def highest(self) -> int:
        """Upper limit of the output; not below the lower one."""
        return max(self.activation.minimum, self.activation.maximum)

    @property
    def _largest_sum(self) -> int:
        """Largest |accumulator + bias|."""
        return self.largest + (0 if self.bias is None else int(np.abs(self.bias).max(initial=0)))

    @cached_property
    def fits_floats(self) -> bool:
        """True if float64 scales exactly."""
        special = self.activation.wraps or self.activation.function is not Function.NONE
        if self.factor is None or self.shift is None or special:
            return False
        reach = max(abs(self.activation.minimum - self.zero_point), abs(self.highest - self.zero_point))
        return fits_float64(self._largest_sum, self.factor, self.shift, self.rounding, reach)

    @cached_property
    def wide(self) -> bool:
        """True if scaling may need more than 64 bits."""
        if self.factor is None or self.shift is None:
            return False
        return not fits_int64(self._largest_sum, self.factor, self.shift)

    @cached_property
    def fits_bytes(self) -> bool:
        """True if outputs are 8-bit, float64 scales exactly, and a lookup table, if any, has 8-bit entries."""
        tabled = self.table is None or (self.slope is None and self.activation.index_signed is not None)
        return self.fits_floats and self.dtype.itemsize == 1 and tabled

    @property
    def byte_table(self) -> NDArray[np.uint8]:
        """Lookup table indexed by the unsigned byte; there must be one, and `fits_bytes`."""
        every = np.arange(256).astype(np.uint8)
        values = every.view(np.int8) if self.activation.index_signed else every
        return self._look_up(values.astype(np.int64)).astype(np.uint8)

    @cached_property
    def float_constants(self) -> tuple[Floats, Floats, Floats, Floats]:
        """(bias, multiplier, half, nudge): an accumulator a is scaled to s = (a + bias)*multiplier and rounded to
        `floor(s + half + copysign(nudge, s))`."""
        assert self.factor is not None
        assert self.shift is not None
        shift = self.shift.astype(np.float64)
        bias = np.zeros(1) if self.bias is None else self.bias.astype(np.float64)
        half = np.where(self.shift > 0, 0.5, 0.0)
        twice = (self.shift > 31) & (self.rounding is Rounding.TFL)
        return bias, self.factor * np.exp2(-shift), half, np.where(twice, np.exp2(30 - shift), 0.0)

    @cached_property
    def _nudged(self) -> bool:
        return bool(self.float_constants[3].any())

    def _scaled_floats(self, accumulator: Array) -> Array:
        bias, multiplier, half, nudge = self.float_constants
        values = accumulator.astype(np.float64)
        if self.bias is not None:
            values += bias
        values *= multiplier
        if self._nudged:
            half = np.copysign(nudge, values) + half
        values += half
        return np.floor(values, out=values)

    def _scaled(self, accumulator: Array) -> Array:
        values = accumulator.astype(np.int64)
        if self.wide:
            values = values.astype(object)
        if self.bias is not None:
            values += self.bias
        if self.factor is None or self.shift is None:
            return values
        values = rescale(values, self.factor, self.shift, self.rounding)
        return self._narrowed(values) if self.wide else values

    def _narrowed(self, values: Array) -> Int64:
        """Converts Python's integers to int64; values out of range wrap or are clamped, as the next step does."""
        if self.activation.wraps:
            return (((values + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)).astype(np.int64)
        return np.clip(values, -(1 << 40), 1 << 40).astype(np.int64)

    def _look_up(self, values: Int64) -> Int64:
        if self.table is None:
            return values
        if self.slope is None:
            return np.take(self.table, (values + (128 if self.activation.index_signed else 0)) & 255)
        entry = (values + 32768) >> 7
        return np.take(self.table, entry) + ((np.take(self.slope, entry) * (values & 127) + 64) >> 7)


def sigmoid_or_tanh(values: Int64, function: Function) -> Int64:
    """Computes the hardware's SIGMOID (or TANH) of `values / 12288`, in fixed point with 15 fractional bits.

    The table holds sigmoid(i/24) in 16 bits; tanh(x) = 2*sigmoid(2x) - 1 uses it with half the step.
    """
    bits = 9 if function is Function.SIGMOID else 8
    magnitude = np.abs(values)
    index = np.minimum(magnitude >> bits, len(LOGISTIC) - 2)
    low, high = np.take(LOGISTIC, index), np.take(LOGISTIC, index + 1)
    result = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low)
    saturated = magnitude >> bits >= len(LOGISTIC) - 1
    if function is Function.SIGMOID:
        result = np.where(saturated, 0x7FFF << 10, result)
        return np.where(values >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1) >> 10
    result = np.where(saturated, 0xFFFF << 8, result) - (1 << 23)
    return np.where(values >= 0, result + (1 << 7), -result + (1 << 7) - 1) >> 8


def parse_table(operation: BlockOperation, data: NDArray[np.uint8]) -> tuple[Int64, Int64 | None]:
    """Reads (entries, slopes) of a lookup table from its bytes; slopes are None if it does not interpolate."""
    if operation.activation.index_signed is not None:
        return data.view(operation.ofm.dtype).astype(np.int64), None
    pairs = data.view("<i2").reshape(512, 2).astype(np.int64)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
