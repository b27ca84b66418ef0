"""Scaling: fixed-point multiplication of accumulators with the hardware's three rounding modes.

    scaled = rescale(accumulator, factor, shift, Rounding.TFL)

The hardware multiplies by a 32-bit factor and shifts right, `(accumulator*factor + rounding) >> shift`:

* TFL, as TensorFlow Lite's reference kernels: `2**(shift-1)`, and if the shift exceeds 31 another `2**30` away from
  zero (the reference rounds twice, once at bit 31 and once at the end);
* NATURAL: `2**(shift-1)`, half up;
* TRUNCATE: towards zero.

Found by comparing with TensorFlow's reference kernels, whose fixed-point arithmetic is gemmlowp's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hil.npu.stream.operations import SCALE_RECORD, Rounding

Int64 = NDArray[np.int64]


def rescale(values: ArrayLike, factor: ArrayLike, shift: ArrayLike, rounding: Rounding) -> Int64:
    """Computes `values * factor / 2**shift`, rounded; all broadcast against each other.

    Exact if `exactness.fits_int64` holds, and always for an array of Python's integers (dtype object), which returns
    such an array.  `shift` is 0 to 62.
    """
    values = np.asarray(values)
    product = values.astype(values.dtype if values.dtype == object else np.int64) * np.asarray(factor, np.int64)
    shift = np.asarray(shift, np.int64)
    one = np.int64(1)
    if rounding is Rounding.TRUNCATE:
        product += np.where(product < 0, (one << shift) - 1, 0)
        return np.right_shift(product, shift)
    half = np.where(shift > 0, one << np.maximum(shift - 1, 0), 0)
    if rounding is Rounding.TFL and (shift > 31).any():
        twice = np.where(shift > 31, one << 30, 0)
        product += np.where(product >= 0, twice, -twice)
    product += half
    return np.right_shift(product, shift)


def scale_records(data: NDArray[Any]) -> tuple[Int64, Int64, Int64]:
    """Reads (bias, factor, shift) per channel from records of ten bytes: bias 40 bits signed, factor 32, shift 6."""
    fields = data.reshape(-1, SCALE_RECORD).astype(np.int64)
    places = np.arange(5, dtype=np.int64) * 8
    bias = (fields[:, :5] << places).sum(axis=1)
    bias = np.where(bias >> 39 != 0, bias - (1 << 40), bias)
    factor = (fields[:, 5:9] << places[:4]).sum(axis=1)
    return bias, factor, fields[:, 9] & 63
