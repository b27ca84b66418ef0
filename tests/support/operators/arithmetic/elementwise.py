"""SQUARED_DIFFERENCE and PRELU of types that the reference kernels do not take: their int8 kernels' steps.

SQUARED_DIFFERENCE brings both operands to twice the larger scale, after a shift by 7 bits (none for int16, as TFLite
Micro), and rescales the square.  PRELU rescales what is positive by one multiplier and the product with the slope by
another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.arithmetic.fixed_point import quantized, ratio, scaled
from tests.support.operators.tensor_description import TensorDescription, first_operator


def squared_difference(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """(first - second) squared."""
    first, second, y = _tensors(model)
    shift = 0 if y.dtype == np.int16 else 7
    common = 2 * max(first.scale, second.scale)
    operands = _operands((first, second), inputs)
    one, other = (
        scaled(values << shift, quantized(tensor.scale / common))
        for values, tensor in zip(operands, (first, second), strict=True)
    )
    difference = one - other
    multiplier = quantized(common * common / ((1 << 2 * shift) * y.scale))
    return [_stored(scaled(difference * difference, multiplier) + y.zero_point, y)]


def prelu(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The input, times its slope where it is negative."""
    x, slope, y = _tensors(model)
    values, slopes = _operands((x, slope), inputs)
    positive = scaled(values, ratio([x.scale], y.scale))
    negative = scaled(values * slopes, ratio([x.scale, slope.scale], y.scale))
    return [_stored(np.where(values >= 0, positive, negative) + y.zero_point, y)]


def _tensors(model: bytes) -> tuple[TensorDescription, TensorDescription, TensorDescription]:
    operator = first_operator(model)
    first, second = operator.inputs
    assert first is not None
    assert second is not None
    return first, second, operator.outputs[0]


def _operands(tensors: Sequence[TensorDescription], inputs: Sequence[Array]) -> list[Array]:
    """Operands less their zero points, with an axis of samples and all axes they are broadcast along."""
    rank = max(len(tensor.shape) for tensor in tensors)
    given = iter(inputs)
    made = []
    for tensor in tensors:
        values = tensor.data[None] if tensor.data is not None else next(given)
        shape = (len(values), *(1,) * (rank - len(tensor.shape)), *tensor.shape)
        made.append(values.reshape(shape).astype(np.int64) - tensor.zero_point)
    return made


def _stored(values: Array, tensor: TensorDescription) -> Array:
    limits = np.iinfo(tensor.dtype)
    return np.clip(values, limits.min, limits.max).astype(tensor.dtype)
