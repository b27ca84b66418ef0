"""The sum over axes, which TensorFlow 2.19's reference kernel has wrong for int8 (it gives -1) and lets wrap for int16.

The sum of the differences to the zero point, as a whole number; rescaled to the output, rounded once and half up (as
TFLite built with single rounding); clamped to the output's type.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.arithmetic.fixed_point import quantized, scaled_once
from tests.support.operators.tensor_description import first_operator


def summed(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """SUM of quantized types."""
    operator = first_operator(model)
    x, axes = operator.inputs
    y = operator.outputs[0]
    assert x is not None
    assert axes is not None
    assert axes.data is not None
    samples = inputs[0].reshape(-1, *x.shape).astype(np.int64) - x.zero_point
    sums = samples.sum(axis=tuple(int(axis) + 1 for axis in axes.data))
    limits = np.iinfo(y.dtype)
    values = scaled_once(sums, quantized(x.scale / y.scale)) + y.zero_point
    return [np.clip(values, limits.min, limits.max).astype(y.dtype).reshape(-1, *y.shape)]
