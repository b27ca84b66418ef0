"""TensorFlow Lite's fixed-point arithmetic, for the cases that are held to arithmetic of the suite's own.

    multiplier = quantized(0.05 / 0.085)             # (32-bit factor, exponent)
    outputs = scaled(sums, multiplier) + zero_point

Written from TFLite's definition (gemmlowp's doubling high multiplication, then a division by a power of two, each
rounded), and not from the NPU's, so that one proves the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hil.core.arrays import Array

Multiplier = tuple[int, int]
"""A factor with 31 bits of fraction, between a half and one, and the power of two that goes with it."""


def quantized(real: float) -> Multiplier:
    """`real` > 0 as a multiplier."""
    mantissa, exponent = math.frexp(real)
    factor = math.floor(mantissa * (1 << 31) + 0.5)
    return (factor, exponent) if factor < 1 << 31 else (factor // 2, exponent + 1)


def ratio(numerators: Sequence[float], denominator: float) -> Multiplier:
    """The product of scales over another scale, in float32, as the kernels have it that do not say double."""
    product = np.float32(numerators[0])
    for numerator in numerators[1:]:
        product = product * np.float32(numerator)
    return quantized(float(product / np.float32(denominator)))


def scaled(values: Array, multiplier: Multiplier) -> Array:
    """`values` times a multiplier, rounded twice as TFLite's `MultiplyByQuantizedMultiplier` of 32 bits."""
    factor, exponent = multiplier
    product = (values.astype(np.int64) << max(exponent, 0)) * factor
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    right = max(-exponent, 0)
    remainder = high & ((1 << right) - 1)
    threshold = ((1 << right) - 1 >> 1) + (high < 0)
    return (high >> right) + (remainder > threshold)


def scaled_once(values: Array, multiplier: Multiplier) -> Array:
    """The same rounded once, half up, as TFLite built with single rounding."""
    factor, exponent = multiplier
    shift = 31 - exponent
    return values.astype(np.int64) * factor + (1 << shift - 1) >> shift


def scaled_wide(values: Array, multiplier: Multiplier) -> Array:
    """The same of 64 bits, for int16 activations with weights: a factor of 16 bits, rounded once, half up."""
    factor, exponent = multiplier
    reduced = factor + (1 << 15) >> 16 if factor < 0x7FFF0000 else 0x7FFF
    shift = 15 - exponent
    return values.astype(np.int64) * reduced + (1 << shift - 1) >> shift
