"""Operators with weights: their tensors, with scales that use the output's range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.builder import Tensor
from tests.support.operators.case import Generator
from tests.support.operators.quantization import zero_point


@dataclass(frozen=True)
class Weighting:
    """Quantization of weights.

    `per_channel`: a scale an output channel, else one.  `bias`: whether there is one; `bias_type`: its type (default:
    int64 for int16 inputs, else int32).  `spread`: scale of the
    output over that which just holds it, so that 0.1 saturates often and 1000 leaves little.  `extreme`: weights
    are lowest and highest values alone.  `zeros`: share of weights that are zero.
    """

    per_channel: bool = True
    bias: bool = True
    bias_type: str = ""
    spread: float = 1.0
    extreme: bool = False
    zeros: float = 0.0
    bits: int = 8


PLAIN = Weighting()


def weights_of(
    random: Generator, x: Tensor, shape: tuple[int, ...], axis: int, how: Weighting
) -> tuple[Tensor, Tensor | None]:
    """(weights, bias or None) for the input `x`; `axis` is that of the output channels."""
    uint8 = x.dtype == "uint8"
    low, high = (0, 255) if uint8 else (-(1 << how.bits - 1) + 1, (1 << how.bits - 1) - 1)
    values = random.integers(low, high, shape, endpoint=True)
    if how.extreme:
        values = random.choice([low, high], shape)
    zero = zero_point(random, "uint8") if uint8 else 0
    values = np.where(random.random(shape) < how.zeros, zero, values)
    channels = shape[axis]
    base = 0.01 * 2 ** random.uniform(-3, 3, channels if how.per_channel and not uint8 else 1)
    dtype = "int4" if how.bits == 4 else ("uint8" if uint8 else "int8")
    weights = Tensor(
        shape, dtype, tuple(base.tolist()), zero, values.astype(np.int64).astype(np.uint8 if uint8 else np.int8), axis
    )
    if not how.bias:
        return weights, None
    usual = "int64" if x.dtype == "int16" else "int32"
    reach = 1 << 20 if x.dtype == "int16" else 1 << 14
    bias: Array = random.integers(-reach, reach, channels, np.int64)
    scale = tuple((np.float32(x.scales[0]) * np.asarray(weights.scales, np.float32)).tolist())
    return weights, Tensor((channels,), how.bias_type or usual, scale, 0, bias)


def output_of(
    random: Generator, x: Tensor, weights: Tensor, shape: tuple[int, ...], terms: int, how: Weighting
) -> Tensor:
    """The output tensor of sums of `terms` products."""
    span = 32767 if x.dtype == "int16" else 127
    weight = float(np.mean(weights.scales)) * 64 * max(1 - how.zeros, 0.01)
    scale = x.scales[0] * 0.6 * span * weight * math.sqrt(terms) / span * how.spread
    return Tensor(shape, x.dtype, scale * float(random.uniform(0.7, 2.0)), zero_point(random, x.dtype))
