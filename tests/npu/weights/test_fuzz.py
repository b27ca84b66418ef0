"""No weight stream, however damaged, does more than raise a `StreamError`; NumPy and the compiled code agree on it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import StreamError
from hil.npu.native import library
from hil.npu.weights.codec import decode_weight_stream
from hil.npu.weights.order import WeightLayout, order
from tests.support.fuzzing.seeds import make_seeds
from tests.support.fuzzing.targets import TARGETS

Computing = Callable[[str], AbstractContextManager[None]]
WAYS = ("numpy", "plain")

HEAD = 10
"""Bytes of a seed before its stream: the layout."""


@settings(max_examples=250, derandomize=True)
@given(
    st.integers(0, 1 << 16),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
    st.binary(max_size=6),
)
def test_changed_weights_are_decoded_or_refused(which, changes, kept, tail):
    inputs = make_seeds(4).inputs["weights"]
    data = bytearray(inputs[which % len(inputs)])
    for place, value in changes:
        data[place % len(data)] = value
    if kept < 0.3:
        data = data[: HEAD + int(kept / 0.3 * (len(data) - HEAD))] + tail
    TARGETS["weights"](bytes(data), [])


def test_seeds_are_decoded():
    inputs = make_seeds(4).inputs["weights"]
    assert len(inputs) > 5
    assert "ok" in {TARGETS["weights"](data, []) for data in inputs}


def _slice(length: int, zero_runs: bool) -> tuple[int, int]:
    """(bits, number of bits) of a slice's header: symbols of one bit, all of them 0; zero runs as long as can be."""
    fields = [(3 if zero_runs else 6, 3), (length - 1, 15), (7, 3), (0, 1), (1, 1), (0, 5), (1, 5), (0, 3), (0, 4)]
    value = count = 0
    for number, size in fields:
        value |= number << count
        count += size
    return value, count


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_as_long_as_was_expected_or_refused(way: str, computing: Computing) -> None:
    """A bit can stand for a weight or for 8 zeros: 4 KB are 32,768 weights."""
    value, count = _slice(32768, zero_runs=False)
    bits, total = 0, 0
    for _ in range(8):
        bits |= value << total
        total += count + 32768
    data = (bits | 7 << total).to_bytes(total // 8 + 1, "little")
    with computing(way):
        assert len(decode_weight_stream(data)) == 8 * 32768
        decode_weight_stream(data, 8 * 32768)
        with pytest.raises(StreamError, match="more than 100000 weights"):
            decode_weight_stream(data, 100_000)


@pytest.mark.parametrize("way", WAYS)
def test_zero_runs_are_counted(way: str, computing: Computing) -> None:
    value, count = _slice(1, zero_runs=True)
    runs = (1 << 80_000) - 1  # 80,000 ones: a run of 640,000 zeros, in 10 KB.
    data = (value | runs << count).to_bytes(12_000, "little")
    tracemalloc.start()
    try:
        with computing(way), pytest.raises(StreamError):
            decode_weight_stream(data, 1000)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=100, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 17), st.integers(1, 17), st.integers(1, 40)),
    block=st.integers(1, 70),
    units=st.sampled_from([(4, 8), (8, 8)]),
    kind=st.sampled_from([(False, False), (True, False), (False, True)]),
    bits=st.sampled_from([8, 16]),
    dilation=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2])),
)
def test_the_length_of_a_stream_is_known_before_its_order(shape, block, units, kind, bits, dilation):
    """Else a layout of a few bytes could ask for an index of gigabytes."""
    depthwise, part_first = kind
    outputs, height, width, inputs = shape
    layout = WeightLayout(
        outputs, height, width, 1 if depthwise else inputs, block, *units, depthwise, part_first, bits, *dilation
    )
    index = order(layout)
    assert len(index) == layout.elements
    assert set(index[index >= 0].tolist()) == set(range(int(np.prod(layout.shape))))


def test_a_quotient_without_end_is_malformed():
    """Eight megabytes of ones are one weight: more than 32 bits hold, shifted by its remainder's five bits."""
    found = library.loaded()
    assert found is not None
    header = 6 | 5 << 18 | 1 << 22  # no zero runs, one weight, a divisor of 2**5, a palette of its own without entries
    stream = (header | ((1 << 28) - 1) << 36).to_bytes(8, "little") + b"\xff" * (9 << 20) + bytes(16)
    assert found.decode_weights(stream, 100) is None
