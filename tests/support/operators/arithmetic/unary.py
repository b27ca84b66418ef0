"""Functions of one element where the reference kernels do not take the operator or its type.

RELU_N1_TO_1 and RELU_0_TO_1 of int16 are the rescaling and the clamp of their 8-bit kernels, ABS and EXP of uint8 their
int8 kernels.  ELU of int8 is the table that TFLite's optimised kernel makes, in float32.  NEG of quantized types is the
difference to the zero point with its sign turned; its input and output have one scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.arithmetic.fixed_point import ratio, scaled
from tests.support.operators.tensor_description import TensorDescription, first_operator


def clamped(low: float, high: float, model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The input, rescaled, between `low` and `high` (real numbers)."""
    x, y = _tensors(model)
    lowest, highest = (y.zero_point + round(bound / y.scale) for bound in (low, high))
    values = scaled(inputs[0].astype(np.int64) - x.zero_point, ratio([x.scale], y.scale)) + y.zero_point
    return [_stored(np.clip(values, lowest, highest), y)]


def negated(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The input with its sign turned."""
    x, y = _tensors(model)
    return [_stored(x.zero_point - inputs[0].astype(np.int64) + y.zero_point, y)]


def absolute(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The size of the difference to the zero point, rescaled."""
    x, y = _tensors(model)
    size = np.abs(inputs[0].astype(np.int64) - x.zero_point)
    return [_stored(scaled(size, ratio([x.scale], y.scale)) + y.zero_point, y)]


def elu(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The exponential linear unit."""
    return _tabled(lambda real: np.where(real < 0, np.expm1(real), real), model, inputs)


def exponential(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """e to the power of the input."""
    return _tabled(np.exp, model, inputs)


def _tabled(function: Callable[[Array], Array], model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """A real function by the table of TFLite's 8-bit kernels, in float32."""
    x, y = _tensors(model)
    real = np.float32(x.scale) * (inputs[0].astype(np.float32) - np.float32(x.zero_point))
    steps = function(real.astype(np.float64)).astype(np.float32) * (np.float32(1) / np.float32(y.scale))
    return [_stored(np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps) + y.zero_point, y)]


def _tensors(model: bytes) -> tuple[TensorDescription, TensorDescription]:
    operator = first_operator(model)
    assert operator.inputs[0] is not None
    return operator.inputs[0], operator.outputs[0]


def _stored(values: Array, tensor: TensorDescription) -> Array:
    limits = np.iinfo(tensor.dtype)
    return np.clip(values, limits.min, limits.max).astype(tensor.dtype)
