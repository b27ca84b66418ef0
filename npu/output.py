"""The output stage: scale, zero point, clamp, lookup table.

    finish = OutputStage(operation, memory constants...)
    values = stage(accumulator)          # int64 (batch, h, w, c) -> the output's type

Every block operation ends here.  An accumulator is scaled (`scaling`), the output's zero point is added, the sum is
clamped, and where the activation is a table, looked up:

* 8-bit: 256 entries, of the output's width; signed values index from -128;
* 16-bit: 512 entries of (base, slope), both 16 bits: `base + ((slope*(v & 127) + 64) >> 7)`, entry `(v + 32768) >> 7`.

A 32-bit output without a forced range wraps and is not clamped (found by comparing with the reference kernels).

TANH and SIGMOID of 16 bits are the hardware's own: the scaled value, in units of 1/12288, is interpolated in a table of
the logistic function, as TensorFlow Lite's reference kernels do it (all 65,536 inputs compared).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu.operations import Activation, BlockOperation, Function, Rounding
from hil.npu.scaling import Int64, rescale

Array = NDArray[Any]

_ONE_HIGHER = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49,
    50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip
"""Entries of the reference's table that are not sigmoid(i/24) rounded but one more (found by comparing)."""

_LOGISTIC: Int64 = np.round(65536 / (1 + np.exp(-np.arange(256) / 24))).astype(np.int64)
"""sigmoid(i/24) in 16 bits, as the reference has it."""
_LOGISTIC[list(_ONE_HIGHER)] += 1


@dataclass(frozen=True)
class OutputStage:
    """What happens to the accumulators of one operation, with all constants read.

    `bias`, `factor`, `shift` are arrays by channel, or of one element; `factor` None: nothing is scaled.
    `table` holds the lookup table's entries, with `slope` beside it if it interpolates.
    """

    dtype: np.dtype[Any]
    rounding: Rounding
    bias: Int64 | None
    factor: Int64 | None
    shift: Int64 | None
    zero_point: int
    activation: Activation
    table: Int64 | None = None
    slope: Int64 | None = None

    def __call__(self, accumulator: Array) -> Array:
        """Accumulators (any integer-valued type, last axis channels) to output elements."""
        values = accumulator.astype(np.int64)
        if self.bias is not None:
            values += self.bias
        if self.factor is not None and self.shift is not None:
            values = rescale(values, self.factor, self.shift, self.rounding)
        values += self.zero_point
        if self.activation.function is not Function.NONE:
            return sigmoid_or_tanh(values, self.activation.function).astype(self.dtype)
        if self.activation.wraps:
            return self._look_up(((values + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)).astype(self.dtype)
        np.clip(values, self.activation.minimum, max(self.activation.minimum, self.activation.maximum), out=values)
        return self._look_up(values).astype(self.dtype)

    def _look_up(self, values: Int64) -> Int64:
        if self.table is None:
            return values
        if self.slope is None:
            return np.take(self.table, (values + (128 if self.activation.index_signed else 0)) & 255)
        entry = (values + 32768) >> 7
        return np.take(self.table, entry) + ((np.take(self.slope, entry) * (values & 127) + 64) >> 7)


def sigmoid_or_tanh(values: Int64, function: Function) -> Int64:
    """The hardware's SIGMOID (or TANH) of `values / 12288`, as fixed-point numbers with 15 bits of fraction.

    The table holds sigmoid(i/24) in 16 bits; tanh(x) = 2*sigmoid(2x) - 1 uses it with half the step.
    """
    bits = 9 if function is Function.SIGMOID else 8
    magnitude = np.abs(values)
    index = np.minimum(magnitude >> bits, len(_LOGISTIC) - 2)
    low, high = np.take(_LOGISTIC, index), np.take(_LOGISTIC, index + 1)
    result = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low)
    saturated = magnitude >> bits >= len(_LOGISTIC) - 1
    if function is Function.SIGMOID:
        result = np.where(saturated, 0x7FFF << 10, result)
        return np.where(values >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1) >> 10
    result = np.where(saturated, 0xFFFF << 8, result) - (1 << 23)
    return np.where(values >= 0, result + (1 << 7), -result + (1 << 7) - 1) >> 8


def parse_table(operation: BlockOperation, data: NDArray[np.uint8]) -> tuple[Int64, Int64 | None]:
    """(entries, slopes) of the lookup table whose bytes are `data`."""
    if operation.activation.index_signed is not None:
        return data.view(operation.ofm.dtype).astype(np.int64), None
    pairs = data.view("<i2").reshape(512, 2).astype(np.int64)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
