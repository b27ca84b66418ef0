"""No operand gets through an arithmetic that is not exact for it; each bound is where it has to be."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hil.core.errors import StreamError
from hil.npu.arithmetic import exactness, native_steps
from hil.npu.arithmetic.convolution import ConvolutionStep
from hil.npu.arithmetic.elementwise import elementwise
from hil.npu.arithmetic.output import OutputStage
from hil.npu.arithmetic.schedule import run_step
from hil.npu.native import library
from hil.npu.stream.feature_map import FeatureMap, Tile
from hil.npu.stream.operations import (
    Activation,
    Convolution,
    Elementwise,
    Kernel,
    Kind,
    Padding,
    Range,
    Rounding,
    Scale,
    Upscale,
)
from tests.npu.compiled_stage import compiled_stage

RAW = Activation(-(1 << 31), (1 << 31) - 1, True, None, None)
"""Limits of a 32-bit output: it wraps, so that every lost unit shows."""

BYTE = Activation(-128, 127, False, None, None)


def scaled(value: int, factor: int, shift: int, rounding: Rounding) -> int:
    """The definition, in Python's unbounded integers."""
    product = value * factor
    if rounding is Rounding.TRUNCATE:
        return abs(product) >> shift if product >= 0 else -(abs(product) >> shift)
    if rounding is Rounding.TFL and shift > 31:
        product += (1 << 30) if product >= 0 else -(1 << 30)
    return product + ((1 << shift) >> 1) >> shift


def finished(value: int, zero_point: int, activation: Activation) -> int:
    if activation.wraps:
        return (value + zero_point + (1 << 31)) % (1 << 32) - (1 << 31)
    return min(max(value + zero_point, activation.minimum), activation.maximum)


def ints(*values: int):
    return np.array(values, np.int64)


def stage_of(activation, largest, bias=0, factor=None, shift=None, rounding=Rounding.TFL, zero_point=0):
    dtype = np.dtype(np.int32 if activation.wraps else np.int8)
    scale = (None, None) if factor is None else (ints(factor), ints(shift))
    return OutputStage(dtype, rounding, ints(bias), *scale, zero_point, activation, largest)


def convolution(terms: int, dtype, zero_point: int, out: np.dtype) -> Convolution:
    """A 1x1 convolution of `terms` channels to one."""

    def vector(depth, dtype, address):
        size = depth * dtype.itemsize
        return FeatureMap(1, (1, 1, depth), dtype, False, (size, size, dtype.itemsize), (Tile(0, 1, 0, 1, address),))

    ifm = vector(terms, np.dtype(dtype), 64)
    return Convolution(
        Kind.CONV, 0, vector(1, out, 0), ifm, (1, 1, 8), 0, 0, Rounding.TFL, None, None, zero_point, 0, RAW,
        Kernel(), Padding(), Upscale.NONE, (Range(0, 0, 0),), (),
    )  # fmt: skip


def convolved(operation, weights, inputs, stage) -> int:
    """The kernel's output for `inputs`, elements of the input's type."""
    weights = np.array(weights, np.int16).reshape(1, 1, 1, -1)
    step = ConvolutionStep.prepare(operation, weights, stage)
    memory = np.zeros((1, 64 + operation.ifm.elements * operation.ifm.dtype.itemsize), np.uint8)
    memory[0, 64:] = np.array(inputs, operation.ifm.dtype).view(np.uint8)
    run_step(operation, step, {1: memory})
    return int(memory[0, : stage.dtype.itemsize].view(stage.dtype)[0])


def raw_product(terms, dtype, zero_point, weight, value, last) -> tuple[int, int]:
    """(computed, true) low 32 bits of a sum of equal products, but for the `last` input."""
    operation = convolution(terms, dtype, zero_point, np.dtype(np.int32))
    weights, inputs = np.full((1, 1, 1, terms), weight, np.int16), np.full(terms, value, operation.ifm.dtype)
    inputs[-1] = last
    largest = exactness.largest_accumulator(operation, weights)
    true = weight * ((terms - 1) * (value - zero_point) + last - zero_point)
    return convolved(operation, weights, inputs, stage_of(RAW, largest)), finished(true, 0, RAW)


def every_way(compute):
    """Results of `compute` with NumPy, and with each set of instructions that this CPU has."""
    before = library.hold(library.NUMPY)
    try:
        for level in (library.NUMPY, library.PLAIN, library.AVX2, library.VNNI):
            library.hold(level)
            yield compute()
    finally:
        library.hold(before)


TYPES = {np.uint8: (0, 255), np.int8: (-128, 127), np.int16: (-(1 << 15), (1 << 15) - 1)}
FLIP = st.integers(0, 3)


@settings(max_examples=100)
@given(
    st.sampled_from([*TYPES]),
    st.booleans(),
    st.integers(1, 255),
    st.booleans(),
    st.floats(0.5, 2.1),
    st.sampled_from([exactness.FLOAT32, 1 << 31]),
    FLIP,
)
def test_products_are_exact(dtype, high, weight, negative, times, bound, off):
    """Sums up to, at and beyond the bounds of float32 and of 32 bits, whatever arithmetic is chosen."""
    low_value, high_value = TYPES[dtype]
    zero_point, value = (low_value, high_value) if high else (high_value, low_value)
    terms = max(2, int(bound * times / (weight * (high_value - low_value))))
    assume(terms < 100_000)
    last = value + (-off if high else off)
    for computed, true in every_way(
        lambda: raw_product(terms, dtype, zero_point, -weight if negative else weight, value, last)
    ):
        assert computed == true


def test_the_bound_of_float32(computing, monkeypatch):
    """An odd sum above 2**24: float32 would lose its last bit."""
    case = 300, np.uint8, 0, 255, 255, 254
    with computing("numpy"):
        assert len({*raw_product(*case)}) == 1
        monkeypatch.setattr(exactness, "FLOAT32", 2 * exactness.FLOAT32)
        assert len({*raw_product(*case)}) == 2


def test_the_bound_of_float64(monkeypatch):
    """An odd sum above 2**53."""
    case = 20_001, np.int32, 0, 255, (1 << 31) - 1, (1 << 31) - 3
    computed, true = raw_product(*case)
    assert computed == true
    monkeypatch.setattr(exactness, "FLOAT64", 2 * exactness.FLOAT64)
    assert len({*raw_product(*case)}) == 2


def test_products_beyond_int64_are_refused():
    with pytest.raises(StreamError, match="more than 64 bits"):
        exactness.exact_type(np.full((1, 1 << 10), 255, np.int16), 1 << 46)


@settings(max_examples=200)
@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=300),
    st.integers(-128, 127),
    st.sampled_from([-1, 1]),
    st.integers(-40_000_000, 40_000_000),
    st.integers(1, (1 << 32) - 1),
    st.integers(20, 62),
    st.booleans(),
    st.sampled_from([BYTE, replace(BYTE, minimum=0), replace(BYTE, minimum=1)]),
    st.integers(-300, 300),
)
def test_dot_products_of_bytes_are_exact(weights, zero_point, sign, off, factor, shift, largest_inputs, limits, added):
    """Biases that bring the sums to 32 bits, with scales that bring them back to bytes or do not."""
    bias = sign * (1 << 31) + off
    inputs = [127 if (w > 0) == largest_inputs else -128 for w in weights]
    operation = convolution(len(weights), np.int8, zero_point, np.dtype(np.int8))
    shape = np.array(weights, np.int16).reshape(1, 1, 1, -1)
    largest = exactness.largest_accumulator(operation, shape)
    stage = stage_of(limits, largest, bias, factor, shift, zero_point=added)
    total = bias + sum(w * (x - zero_point) for w, x in zip(weights, inputs, strict=True))
    expected = finished(scaled(total, factor, shift, Rounding.TFL), added, limits)
    for computed in every_way(lambda: convolved(operation, weights, inputs, stage)):
        assert computed == expected


@settings(max_examples=300)
@given(
    st.integers(-130, 130),
    st.integers(-2, 2),
    st.integers(1, 32).flatmap(lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1)),
    st.integers(1, 62),
    st.sampled_from([Rounding.TFL, Rounding.NATURAL]),
    st.sampled_from([BYTE, replace(BYTE, minimum=0), replace(BYTE, minimum=-5, maximum=100)]),
    st.one_of(st.integers(-5, 5), st.integers(-300, 300)),
)
def test_halves_are_rounded_exactly(whole, off, factor, shift, rounding, limits, zero_point):
    """Sums that are scaled to a half or a hair beside it, where the modes of rounding differ."""
    total = ((2 * whole + 1) << (shift - 1)) // factor + off
    assume(abs(total) < 1 << 31)
    operation = convolution(2, np.int8, 0, np.dtype(np.int8))
    stage = stage_of(limits, 256, total - 21, factor, shift, rounding, zero_point)
    expected = finished(scaled(total, factor, shift, rounding), zero_point, limits)
    for computed in every_way(lambda: convolved(operation, [1, 2], [7, 7], stage)):
        assert computed == expected


@pytest.mark.parametrize(
    ("bias", "shift", "zero_point"),
    [((1 << 31) - 100, 50, 0), (1 << 30, 29, 0), ((1 << 31) - 100 - 300 * 127 * 255, 30, 127)],
)
def test_the_bound_of_sums_of_bytes(way, computing, bias, shift, zero_point, monkeypatch):
    """A sum, a scaled sum, and one with its zero point, that would not fit 32 bits."""
    operation = convolution(300, np.uint8, 0, np.dtype(np.int8))
    stage = stage_of(BYTE, 300 * 127 * 255, bias, 1 << 30, shift, zero_point=zero_point)
    case = operation, [127] * 300, [255] * 300, stage
    with computing(way):
        assert convolved(*case) == 127
        monkeypatch.setattr(exactness, "INT32", 2 * exactness.INT32)
        assert convolved(*case) != 127


@pytest.mark.parametrize("zero_point", [0, -128])
def test_the_margin_of_float32(way, computing, monkeypatch, zero_point):
    """Sums a hair below a half: float32 alone takes some of them for a half, which is rounded up."""
    operation = convolution(2, np.int8, 0, np.dtype(np.int8))
    halves = 2 * (100 - zero_point) + 1

    def outputs():
        stages = [
            stage_of(BYTE, 256, total - 21, (halves << 39) // total, 40, Rounding.NATURAL, zero_point)
            for total in range(200_000, 200_200)
        ]
        with computing(way):
            return {convolved(operation, [1, 2], [7, 7], stage) for stage in stages}

    assert outputs() == {100}
    monkeypatch.setattr(native_steps, "FLOAT32_MARGIN", 0)
    assert outputs() == ({100} if way == "plain" else {100, 101})  # Plain code scales in int64.


def test_the_bound_of_32_bit_sums(way, computing, monkeypatch):
    """Weights of 9 bits are no bytes: their sums, which here exceed 32 bits, are moved to 64."""
    operation = convolution(34_000, np.uint8, 0, np.dtype(np.int8))
    case = operation, [255] * 34_000, [255] * 34_000, stage_of(BYTE, 34_000 * 255 * 255, 0, 1 << 30, 50)
    with computing(way):
        assert convolved(*case) == 127
        monkeypatch.setattr(exactness, "INT32", 2 * exactness.INT32)
        assert convolved(*case) == -128


def test_the_bound_of_a_chunk(way, computing, monkeypatch):
    """The largest sum of products of 16 bits before it is moved to 64."""
    operation = convolution(520, np.int16, 0, np.dtype(np.int8))
    case = operation, [-255] * 520, [-(1 << 15)] * 520, stage_of(BYTE, 520 * 255 << 15, 0, 1 << 30, 50)
    with computing(way):
        assert convolved(*case) == 127
        monkeypatch.setattr(native_steps, "CHUNK", native_steps.CHUNK + 1)
        assert convolved(*case) != 127


@settings(max_examples=300)
@given(
    st.integers(0, 55).flatmap(lambda bits: st.integers(-(1 << bits), 1 << bits)),
    st.integers(-(1 << 39), (1 << 39) - 1),
    st.integers(0, 32).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)),
    st.integers(0, 62),
    st.sampled_from(Rounding),
    st.sampled_from([RAW, BYTE, replace(BYTE, minimum=-126, maximum=126)]),
)
def test_scaling_is_exact(value, bias, factor, shift, rounding, activation):
    """Biases of 40 bits, factors of 32: as far as the hardware's fields go, and accumulators beyond what it has."""
    stage = stage_of(activation, abs(value), bias, factor, shift, rounding)
    expected = finished(scaled(value + bias, factor, shift, rounding), 0, activation)
    for finish in (stage, functools.partial(compiled_stage, stage)):
        assert int(finish(ints(value).reshape(1, 1, 1, 1))[0, 0, 0, 0]) == expected


def test_the_bound_of_int64(monkeypatch):
    """A product of 64 bits."""
    value, factor, shift = (1 << 31) + 1, (1 << 32) - 1, 40
    expected = finished(scaled(value, factor, shift, Rounding.NATURAL), 0, RAW)

    def computed():
        stage = stage_of(RAW, value, 0, factor, shift, Rounding.NATURAL)
        return int(stage(ints(value).reshape(1, 1, 1, 1))[0, 0, 0, 0])

    assert computed() == expected
    monkeypatch.setattr(exactness, "INT64", 2 * exactness.INT64)
    assert computed() != expected


@pytest.mark.parametrize("compiled", [False, True])
def test_the_bound_of_scaling_in_float64(compiled, monkeypatch):
    """Products a hair below a half: with 53 bits they are rounded down, with one bit more float64 rounds them up."""
    activation, shift = replace(BYTE, minimum=-126, maximum=126), 47
    finish = compiled_stage if compiled else OutputStage.__call__
    products = [(2 * n + 1 << shift - 1) - 1 for n in range(64, 126)]
    cases = [(p // f, f) for p in products for f in (3, 5, 7, 9, 11, 13) if p % f == 0]

    def wrong():
        outputs = [
            int(finish(stage_of(activation, v, 0, f, shift, Rounding.NATURAL), ints(v).reshape(1, 1, 1, 1))[0, 0, 0, 0])
            for v, f in cases
        ]
        return sum(out != scaled(v, f, shift, Rounding.NATURAL) for out, (v, f) in zip(outputs, cases, strict=True))

    assert len(cases) > 10
    assert wrong() == 0
    monkeypatch.setattr(exactness, "SIGNIFICANT", exactness.SIGNIFICANT + 1)
    assert wrong() > 0


def common_scale(operation: Elementwise, value: int, place: int) -> int:
    """The definition of an operand of ADD or SUB, less its zero point."""
    if operation.scaled_operand == 0:
        return value * (operation.scale_a if place == 1 else operation.scale_b).factor
    bits = 20 if operation.ifm.dtype.itemsize == 1 else 15
    if operation.scaled_operand != place:
        return value << (bits - 1)
    shift = min(operation.scale_a.shift + bits, 62)
    return scaled(value << bits, operation.scale_a.factor, shift, operation.operand_rounding)


@settings(max_examples=200)
@given(
    st.sampled_from([Kind.ADD, Kind.SUB, Kind.MUL, Kind.MIN, Kind.MAX]),
    st.sampled_from([*TYPES]),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.tuples(st.integers(-128, 255), st.integers(-128, 255)),
    st.integers(0, 2),
    st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 16) - 1)),
    st.integers(0, 42),
    st.booleans(),
)
def test_elementwise_operands_are_exact(kind, dtype, ends, zero_points, scaled_operand, factors, shift, swapped):
    """The largest operands of each type, with any scale: exact, or refused; and never beyond the bound."""
    dtype = np.dtype(dtype)
    values = [TYPES[dtype.type][end] for end in ends]

    def pixel(dtype, address):
        size = dtype.itemsize
        return FeatureMap(1, (1, 1, 1), dtype, False, (size, size, size), (Tile(0, 1, 0, 1, address),))

    operation = Elementwise(
        kind, 0, pixel(np.dtype(np.int32), 0), pixel(dtype, 4), (1, 1, 8), 0, 0, Rounding.TFL, None, None,
        zero_points[0], 0, RAW, pixel(dtype, 8), None, zero_points[1], swapped, scaled_operand, Rounding.TFL,
        Scale(factors[0], shift), Scale(factors[1], 0),
    )  # fmt: skip
    try:
        largest = exactness.largest_accumulator(operation)
    except StreamError:
        assert dtype.itemsize > 1
        assert factors[0] >= 1 << 31
        return
    memory = np.zeros((1, 12), np.uint8)
    for at, value in zip((4, 8), values, strict=True):
        memory[0, at : at + dtype.itemsize] = np.array([value], dtype).view(np.uint8)
    elementwise(operation, stage_of(RAW, largest), {1: memory})
    operands = [value - zero_point for value, zero_point in zip(values, zero_points, strict=True)]
    if kind in (Kind.ADD, Kind.SUB):
        places = (2, 1) if swapped else (1, 2)
        operands = [common_scale(operation, value, place) for value, place in zip(operands, places, strict=True)]
    first, second = reversed(operands) if swapped else operands
    functions = {Kind.ADD: int.__add__, Kind.SUB: int.__sub__, Kind.MUL: int.__mul__, Kind.MIN: min, Kind.MAX: max}
    true = functions[kind](first, second)
    assert abs(true) <= largest
    assert int(memory[0, :4].view(np.int32)[0]) == finished(true, 0, RAW)
