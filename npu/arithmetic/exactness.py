"""Bounds within which float32, float64, int32 and int64 arithmetic is exact, with their proofs.

    exact_type(weights, largest_input(dtype, zero_point))      # float32, float64 or int64
    largest_accumulator(operation, weights)                    # what `OutputStage` takes as `largest`

Every result of the NPU is an integer, and the model either computes that integer exactly or refuses the program at
decode time.  Fast arithmetic is not exact for all operands, so exactness is proven per operation, from its weights,
biases and scales, the IFM's data type and its zero point:

**Matrix products.**  Integers up to 2**24 are all float32 numbers, those up to 2**53 float64 numbers.  A sum of
integer products is exact in any order, fused or not, if no partial sum can be larger, and none exceeds

    max over output channels of sum |weight|  *  max |input - zero point|

since each term's magnitude is at most |weight| * max |input - zero point|.  The same with 2**63 for int64.

**Dot products of bytes** add 0 <= byte <= 255 times weights to 32-bit sums that start at the bias: they are exact if
|start| + 255 * sum |weight| stays below 2**31 (no intermediate saturates: the instructions have no 16-bit steps).
Scaled, such a sum becomes a 32-bit integer, with the zero point z added, before it is clamped, so that sum * factor /
2**shift must stay below 2**31 too, with 2 for the rounding and `ZERO_POINT` for z.

**Scaling of dot products in int64.**  Vectors multiply 32 bits without signs and shift 64 bits without signs. sum *
factor is (sum + 2**31) * factor - 2**31 * factor in the last 64 bits.  Rounded, it is between -2**63 and 2**63
(`fits_int64`); with 2**63 added it has no sign, and the shift, less 2**63 / 2**shift - z, gives the last 32 bits of an
arithmetic shift, plus z.  TFL's rounding of negative sums is 2**31 less than that of others, and 2**31 is among the
bits of sum + 2**31 just of the others.

**Scaling of dot products in float32** only bounds: with p = sum * factor / 2**shift and e = `FLOAT32_MARGIN`, the exact
x = p + half +- nudge - 1/2 + z is strictly between what float32 makes of it with e subtracted and with e added, so that
if both are nearest to the same integer n, n - 1/2 < x < n + 1/2, and n is p + half +- nudge rounded down, plus z.  The
conversions of the sum and of the multiplier change p by less than |p| * 2**-23, that of what is added by less than (|z|
+ 2) * 2**-24, the fused product and sum and the addition of the nudge by less than (|p| + |z| + 3) * 2**-23 more,
together by less than e while |p| <= 511 and |z| <= `ZERO_POINT`.  A larger p is still beyond limits of up to 510 from z
after these errors, and clamped to the same; below 2**30 its conversion to int32 does not overflow.  Integers that
differ are scaled in int64, unless both are clamped to the same byte.

**Scaling in int64**, `(sum + bias) * factor + rounding >> shift`, is exact while (largest |sum| + |bias|) * factor +
2**shift + 2**30 stays below 2**63.  Biases have 40 bits and factors 32, so the bound can be exceeded; then the
output stage scales in Python's unbounded integers, and an operand scaled before the output stage is refused.

**Scaling in float64**, floor(p + half +- nudge) with p = (sum + bias) * factor / 2**shift.  sum + bias is an integer up
to 2**53, so exact.  p, the half and the nudge (a fourth or less) are multiples of 2**-fraction, with fraction = shift
less the factor's factors of two, or shift - 30 for the nudge.  Let L be the largest distance of the output's limits
from the zero point.  If |p| < L + 1, then all of these, and their sum, are multiples of 2**-fraction below L + 2: they
have at most bits(L + 1) + fraction significant bits, and float64 holds 53, so that no step rounds.  A p beyond L + 1
may be rounded, but rounding is monotonic and L + 1 is representable: it stays beyond, and is clamped to the same limit.

`tests/npu/arithmetic/test_exactness.py` draws operands at these bounds and beyond, compares with Python's integers, and
shows that each bound, if it were looser by a factor of two, would let a wrong result through.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hil.core.errors import StreamError
from hil.npu.stream.operations import BlockOperation, Convolution, Elementwise, Kind, Rounding, Scale, Windowed

FLOAT32, FLOAT64 = 1 << 24, 1 << 53
"""Integers up to these in magnitude are all representable in the type."""

INT32, INT64 = 1 << 31, 1 << 63
"""Integers below these in magnitude fit the type."""

SIGNIFICANT = 53
"""Significant bits of float64."""

FLOAT32_MARGIN = 2.0**-12
"""More than the error of float32 for sums scaled to at most 511."""

ZERO_POINT = 255
"""Largest magnitude of a zero point that scaled dot products have room for."""

_FLOAT32_REACH = 510
_BYTE = 255
_NUDGE = 1 << 30


def largest_input(dtype: np.dtype[Any], zero_point: int) -> int:
    """Largest |element - zero point| of elements of `dtype`."""
    limits = np.iinfo(dtype)
    return max(abs(int(limits.min) - zero_point), abs(int(limits.max) - zero_point))


def weight_sums(weights: NDArray[np.int16]) -> NDArray[np.int64]:
    """Sum of |weight| per output channel, the first axis."""
    sums: NDArray[np.int64] = np.abs(weights).reshape(len(weights), -1).sum(axis=1, dtype=np.int64)
    return sums


def exact_type(weights: NDArray[np.int16], largest: int) -> type[np.float32] | type[np.float64] | type[np.int64]:
    """Chooses the cheapest type that is exact for `weights` (first axis output channels) and inputs up to `largest`.

    Raises `StreamError` if none is exact.
    """
    bound = int(weight_sums(weights).max(initial=0)) * largest
    if bound <= FLOAT32:
        return np.float32
    if bound >= INT64:
        raise StreamError(f"the sums of products may reach {bound}, more than 64 bits")
    return np.float64 if bound <= FLOAT64 else np.int64


def fits_int32(weights: NDArray[np.int16], largest: int) -> bool:
    """True if int32 holds sums of inputs up to `largest` times `weights` (first axis output channels)."""
    return int(weight_sums(weights).max(initial=0)) * largest < INT32


def fits_dot_products(weights: NDArray[np.int16], first: NDArray[np.int64]) -> bool:
    """True if int32 holds sums of unsigned bytes times `weights` that start at `first`, per output channel."""
    # Sums of up to 2**24 weights, and biases of 40 bits with what they compensate: int64 holds them.
    return bool((np.abs(first) + _BYTE * weight_sums(weights) < INT32).all())


def fits_rounding(
    weights: NDArray[np.int16], first: NDArray[np.int64], factor: NDArray[np.int64], shift: NDArray[np.int64]
) -> bool:
    """True if int32 also holds the scaled sums of `fits_dot_products`, and int64 their products."""
    largest = int((np.abs(first) + _BYTE * weight_sums(weights)).max())
    return fits_int64(largest, factor, shift) and _scaled_below(weights, first, factor, shift, INT32 - 2 - ZERO_POINT)


def fits_float32(
    weights: NDArray[np.int16],
    first: NDArray[np.int64],
    factor: NDArray[np.int64],
    shift: NDArray[np.int64],
    reach: int,
) -> bool:
    """True if float32, with a margin of `FLOAT32_MARGIN`, bounds scaled sums of `fits_dot_products`.

    `reach` is the largest distance of the output's limits from the zero point.
    """
    return reach <= _FLOAT32_REACH and _scaled_below(weights, first, factor, shift, INT32 // 2)


def _scaled_below(
    weights: NDArray[np.int16],
    first: NDArray[np.int64],
    factor: NDArray[np.int64],
    shift: NDArray[np.int64],
    limit: int,
) -> bool:
    """True if all sums of unsigned bytes times `weights` that start at `first`, scaled, stay below `limit`."""
    total = weight_sums(weights)
    rough = (np.abs(first) + float(_BYTE) * total) * factor * np.exp2(-shift.astype(np.float64))
    if (rough < limit / 2).all():
        return True
    rows = np.broadcast_arrays(total, first, factor, shift)  # Python's integers are exact.
    return all(
        (abs(begin) + _BYTE * total) * by < limit << bits
        for total, begin, by, bits in zip(*(row.tolist() for row in rows), strict=True)
    )


def fits_int64(largest: int, factor: ArrayLike, shift: ArrayLike) -> bool:
    """True if int64 scales values up to `largest` exactly, by any of `factor` and `shift` (broadcast)."""
    factor, shift = np.asarray(factor, np.int64), np.asarray(shift, np.int64)
    if largest * int(factor.max()) + (1 << int(shift.max())) + _NUDGE < INT64:
        return True
    return all(largest * int(by) + (1 << int(bits)) + _NUDGE < INT64 for by, bits in {*np.broadcast(factor, shift)})


def fits_float64(
    largest: int, factor: NDArray[np.int64], shift: NDArray[np.int64], rounding: Rounding, reach: int
) -> bool:
    """True if float64 scales values up to `largest` exactly, to outputs clamped to at most `reach` from the zero point.

    Always False for TRUNCATE, which does not round by adding.
    """
    if rounding is Rounding.TRUNCATE or largest > FLOAT64:
        return False
    lowest_bit = np.maximum(factor & -factor, 1)
    fraction = shift - np.log2(lowest_bit).astype(np.int64)
    if rounding is Rounding.TFL:
        fraction = np.maximum(fraction, shift - 30)  # The nudge of its rounding.
    return (reach + 1).bit_length() + int(fraction.max()) <= SIGNIFICANT


def largest_accumulator(operation: BlockOperation, weights: NDArray[np.int16] | None = None) -> int:
    """Largest magnitude of an accumulator of `operation` at the output stage; `weights` only for a convolution."""
    largest = largest_input(operation.ifm.dtype, operation.ifm_zero_point)
    if isinstance(operation, Convolution):
        assert weights is not None
        return int(weight_sums(weights).max(initial=0)) * largest
    if isinstance(operation, Elementwise):
        return _largest_elementwise(operation, largest)
    assert isinstance(operation, Windowed)
    if operation.kind is Kind.MAX_POOL:
        return largest
    terms = operation.kernel.height * operation.kernel.width
    return terms * largest * (operation.ifm.shape[2] if operation.kind is Kind.REDUCE_SUM else 1)


def _largest_elementwise(operation: Elementwise, first: int) -> int:
    if operation.scalar is not None:
        second = abs(operation.scalar - operation.ifm2_zero_point)
    else:
        second = largest_input((operation.ifm2 or operation.ifm).dtype, operation.ifm2_zero_point)
    size = operation.ifm.dtype.itemsize
    match operation.kind:
        case Kind.ADD | Kind.SUB if size == 4:
            return first + second
        case Kind.ADD | Kind.SUB if operation.scaled_operand == 0:
            # Each scale belongs to one of the two operands; which, matters for no bound.
            return max(first, second) * (operation.scale_a.factor + operation.scale_b.factor)
        case Kind.ADD | Kind.SUB:
            return _largest_common_scale(operation, max(first, second))
        case Kind.MUL if size == 4:
            _check(operation, first * second, Scale(1, operation.scale.shift if operation.scale else 0))
            return INT32
        case Kind.MUL:
            return first * second
        case Kind.SHL:
            return INT64  # Any 64 bits: the hardware drops bits that are shifted out, too.
        case Kind.CLZ:
            return 32
        case Kind.LRELU if operation.scale:
            _check(operation, first, operation.scale)
            return max(first, (first * operation.scale.factor >> operation.scale.shift) + 2)
        case _:
            return max(first, second)


def _largest_common_scale(operation: Elementwise, largest: int) -> int:
    bits = 20 if operation.ifm.dtype.itemsize == 1 else 15
    scale = Scale(operation.scale_a.factor, min(operation.scale_a.shift + bits, 62))
    _check(operation, largest << bits, scale)
    return (largest << (bits - 1)) + ((largest << bits) * scale.factor >> scale.shift) + 2


def _check(operation: Elementwise, largest: int, scale: Scale) -> None:
    """Raises `StreamError` if an operand scaled before the output stage may exceed int64."""
    if not fits_int64(largest, scale.factor, scale.shift):
        raise StreamError("a scaled operand may exceed 64 bits", word_offset=operation.word_offset)
