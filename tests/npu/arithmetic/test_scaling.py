"""The fixed-point arithmetic equals its definition in Python's unbounded integers."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.npu.arithmetic.exactness import exact_type, largest_input
from hil.npu.arithmetic.output import OutputStage
from hil.npu.arithmetic.pooling import reciprocal
from hil.npu.arithmetic.scaling import rescale, scale_records
from hil.npu.stream.operations import Activation, Rounding
from tests.npu.compiled_stage import compiled_stage


def reference(value: int, factor: int, shift: int, rounding: Rounding) -> int:
    """The definition: an exact quotient, then what each mode does with it."""
    product = value * factor
    if rounding is Rounding.TRUNCATE:
        return int(Fraction(product, 1 << shift))
    if rounding is Rounding.TFL and shift > 31:
        product += (1 << 30) if product >= 0 else -(1 << 30)
    half = Fraction(1, 2) if shift else Fraction(0)
    return int((Fraction(product, 1 << shift) + half).__floor__())


FACTORS = st.one_of(st.integers(0, 0x8000_0001), st.sampled_from([0, 1, 1 << 30, (1 << 31) - 1, 1 << 31]))
VALUES = st.one_of(st.integers(-(1 << 30), 1 << 30), st.integers(-300, 300))


@settings(max_examples=500)
@given(VALUES, FACTORS, st.integers(0, 62), st.sampled_from(Rounding))
def test_rescale(value, factor, shift, rounding):
    assert int(rescale(np.array([value]), factor, shift, rounding)[0]) == reference(value, factor, shift, rounding)


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(1 << 30, (1 << 31) - 1), st.integers(0, 31))
def test_rescale_is_tensorflows_double_rounding(value, factor, right):
    """gemmlowp: a rounding doubling high multiply, then a rounding division by a power of two."""
    product = value * factor
    high = int(Fraction(product + ((1 << 30) if product >= 0 else 1 - (1 << 30)), 1 << 31))
    remainder = high & ((1 << right) - 1)
    expected = (high >> right) + (remainder > ((1 << right) - 1 >> 1) + (high < 0))
    assert int(rescale(np.array([value]), factor, 31 + right, Rounding.TFL)[0]) == expected


@given(st.lists(st.tuples(st.integers(-(1 << 39), (1 << 39) - 1), st.integers(0, (1 << 32) - 1), st.integers(0, 63))))
def test_records(channels):
    data = b"".join(
        (bias & (1 << 40) - 1).to_bytes(5, "little") + factor.to_bytes(4, "little") + bytes([shift])
        for bias, factor, shift in channels
    )
    assert list(zip(*scale_records(np.frombuffer(data, np.uint8)), strict=True)) == channels


@given(st.integers(1, 65536), st.integers(-255, 255))
def test_averages_divide(count, mean):
    """The reciprocal divides sums exactly where the average is an integer."""
    factor, shift = reciprocal(np.array([count]))
    assert int(rescale(np.array([mean * count]), factor, shift, Rounding.NATURAL)[0]) == mean


def _stage(dtype, factor, shift, zero_point, low, high, rounding=Rounding.TFL, bias=0):
    activation = Activation(low, high, dtype == np.int32, None, None)
    one = lambda value: np.array([value], np.int64)  # noqa: E731
    return OutputStage(np.dtype(dtype), rounding, one(bias), one(factor), one(shift), zero_point, activation, 1 << 40)


@settings(max_examples=300)
@given(
    st.lists(st.integers(-(1 << 24), 1 << 24), min_size=1, max_size=40),
    st.integers(-(1 << 20), 1 << 20),
    st.integers(1 << 30, (1 << 31) - 1),
    st.integers(20, 50),
    st.integers(-128, 127),
    st.sampled_from(Rounding),
)
def test_output_stage(values, bias, factor, shift, zero_point, rounding):
    stage = _stage(np.int8, factor, shift, zero_point, -100, 120, rounding, bias)
    expected = [min(max(reference(value + bias, factor, shift, rounding) + zero_point, -100), 120) for value in values]
    for dtype in (np.int64, np.float64):
        for finish in (stage, functools.partial(compiled_stage, stage)):
            assert finish(np.array(values, dtype).reshape(1, 1, -1, 1)).ravel().tolist() == expected
    if rounding is Rounding.TRUNCATE or shift <= 44:
        assert stage.fits_floats == (rounding is not Rounding.TRUNCATE)


def test_32_bit_outputs_wrap():
    stage = _stage(np.int32, 1, 0, 0, -(1 << 31), (1 << 31) - 1)
    values = np.array([1 << 31, (1 << 31) - 1, -(1 << 31) - 1])
    assert stage(values.reshape(1, 1, 1, 3)).ravel().tolist() == [-(1 << 31), (1 << 31) - 1, (1 << 31) - 1]


WEIGHTS = st.integers(1, 600).flatmap(
    lambda size: st.tuples(st.just(size), st.sampled_from([1, 3, 100, 255]), st.integers(0, 1 << 30))
)


@settings(max_examples=300)
@given(WEIGHTS, st.sampled_from([np.int8, np.uint8, np.int16]), st.integers(-128, 255))
def test_the_chosen_arithmetic_is_exact(size_magnitude_seed, dtype, zero_point):
    """Worst inputs for the weights, accumulated one by one in the chosen type, give the integer sum."""
    size, magnitude, seed = size_magnitude_seed
    weights = (
        np.random.default_rng(seed).integers(magnitude - magnitude // 4, magnitude + 1, (1, size)).astype(np.int16)
    )
    largest = largest_input(np.dtype(dtype), zero_point)
    chosen = exact_type(weights, largest)
    inputs = np.full(size, largest - 1 + seed % 2)
    expected = int((weights[0].astype(np.int64) * inputs).sum())
    total = chosen(0)
    for weight, value in zip(weights[0].astype(chosen), inputs.astype(chosen), strict=True):
        total += weight * value
    assert int(total) == expected


@pytest.mark.parametrize(("terms", "chosen"), [(258, np.float32), (259, np.float64)])
def test_the_bound_is_where_float32_ends(terms, chosen):
    """258*255*255 is the last below 2**24.  Beyond it float32 does go wrong: it loses the added one."""
    assert exact_type(np.full((1, terms), 255, np.int16), 255) is chosen
    assert np.float32(1 << 24) + np.float32(1) == np.float32(1 << 24)


def test_the_bound_is_by_channel_and_by_type():
    weights = np.array([[1, 1], [-30000, 20000]], np.int16)
    assert exact_type(weights, 300) is np.float32
    assert exact_type(weights, 400) is np.float64
    assert exact_type(weights, 1 << 38) is np.int64
    assert largest_input(np.dtype(np.int8), 127) == 255
    assert largest_input(np.dtype(np.int16), 0) == 32768
    assert largest_input(np.dtype(np.uint8), 255) == 255
