"""Array types that all floors share, and bit-exact comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def unequal(one: Array, other: Array) -> NDArray[np.bool_]:
    """Mask of the elements that differ in a bit; two NaNs are equal, whose bits depend on the processor.

    Both arrays have the same shape and dtype.
    """
    if one.dtype.kind != "f":
        return np.asarray(one != other)
    bits = np.dtype(f"u{one.dtype.itemsize}")
    differs = np.ascontiguousarray(one).view(bits) != np.ascontiguousarray(other).view(bits)
    return np.asarray(differs & ~(np.isnan(one) & np.isnan(other)))


def bit_equal(one: Array, other: Array) -> bool:
    """True for arrays of one dtype and shape without an element that differs (`unequal`)."""
    return one.dtype == other.dtype and one.shape == other.shape and not unequal(one, other).any()


def largest_difference(one: Array, other: Array) -> int | float:
    """Largest absolute difference of two arrays of the same shape and dtype; NaN where one alone is no number."""
    differs = unequal(one, other)
    kind = np.float64 if one.dtype.kind == "f" else np.int64
    left, right = one[differs].astype(kind), other[differs].astype(kind)
    largest = np.abs(left - right).max(initial=0, where=left != right)
    return float(largest) if one.dtype.kind == "f" else int(largest)
