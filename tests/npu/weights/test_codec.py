"""The weight codec and the weight order equal Vela's own, and survive anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.native import library
from hil.npu.weights import codec
from hil.npu.weights.codec import decode_weight_stream
from hil.npu.weights.order import WeightLayout, unpack

mlw_codec = pytest.importorskip("ethosu.mlw_codec", reason="Vela is not installed")


def _distribution(kind, size, generator):
    match kind:
        case "flat":
            return generator.integers(-255, 256, size)
        case "bell":
            return np.round(generator.normal(0, 15, size)).clip(-255, 255).astype(int)
        case "sparse":
            return generator.integers(-128, 128, size) * (generator.random(size) < 0.15)
        case "clustered":
            return generator.choice(generator.integers(-128, 128, 16), size)
        case "sparse clusters":
            return generator.choice(generator.integers(-128, 128, 8), size) * (generator.random(size) < 0.5)
        case _:
            return np.zeros(size, int)


def compiled(data):
    """With the compiled code, whose refusal NumPy explains."""
    assert library.loaded() is not None
    return decode_weight_stream(data, MAX_WEIGHTS)


def outcome(decode, data):
    try:
        return decode(data).tolist()
    except StreamError as error:
        return str(error)


def plain(data):
    """With NumPy alone."""
    return codec._decode(data, MAX_WEIGHTS)


MAX_WEIGHTS = 1 << 24
DECODERS = (plain, compiled)
KINDS = ("flat", "bell", "sparse", "clustered", "sparse clusters", "zero")


@pytest.mark.parametrize("kind", KINDS)
def test_equals_velas_decoder(kind):
    generator = np.random.default_rng(5)
    for size in (1, 2, 11, 12, 13, 100, 5000, 70000):
        weights = _distribution(kind, size, generator)
        encoded = mlw_codec.encode(weights.tolist())
        np.testing.assert_array_equal(mlw_codec.decode(bytearray(encoded)), weights)
        for decode in DECODERS:
            np.testing.assert_array_equal(decode(bytes(encoded)), weights)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_only_raise_stream_errors(data):
    results = [outcome(decode, data) for decode in DECODERS]
    assert results[0] == results[1]


@settings(max_examples=200)
@given(st.integers(0, 1 << 30), st.integers(0, 1 << 30), st.sampled_from(KINDS))
def test_damaged_streams_only_raise_stream_errors(seed, where, kind):
    weights = _distribution(kind, 500, np.random.default_rng(seed))
    data = bytearray(mlw_codec.encode(weights.tolist()))
    data[where % len(data)] ^= 1 << where % 8
    for damaged in (bytes(data), bytes(data[: where % len(data)])):
        results = [outcome(decode, damaged) for decode in DECODERS]
        assert results[0] == results[1]


@settings(max_examples=60)
@given(
    macs=st.sampled_from([32, 64, 128, 256]),
    depthwise=st.booleans(),
    part_first=st.booleans(),
    ifm_bits=st.sampled_from([8, 16]),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 10), st.integers(1, 10), st.integers(1, 70)),
    block=st.integers(1, 6),
    dilation=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2])),
)
def test_order_equals_velas(macs, depthwise, part_first, ifm_bits, shape, block, dilation):
    """Vela orders and encodes a volume; decoding and unpacking gives the volume back."""
    out_depth, height, width, in_depth = shape
    in_depth = 1 if depthwise else in_depth
    part_first = part_first and not depthwise
    accelerator = Accelerator.from_name(f"ethos-u55-{macs}")
    block_depth = accelerator.ofm_ublock[2] * block
    volume = np.random.default_rng(out_depth).integers(-255, 256, (out_depth, height, width, in_depth)).astype(np.int16)
    encoded = mlw_codec.reorder_encode(
        accelerator.ifm_ublock_depth, accelerator.ofm_ublock[2], volume, block_depth,
        depthwise, part_first, ifm_bits, 8 // dilation[0], 8 // dilation[1],
    )  # fmt: skip
    data = bytes(encoded[0] if isinstance(encoded, tuple) else encoded)
    layout = WeightLayout(
        *volume.shape, block_depth, accelerator.ofm_ublock[2], accelerator.ifm_ublock_depth,
        depthwise, part_first, ifm_bits, *dilation,
    )  # fmt: skip
    np.testing.assert_array_equal(unpack(decode_weight_stream(data), layout), volume)


def test_streams_that_do_not_fit_the_layout():
    layout = WeightLayout(8, 1, 1, 8, 8, 8, 8, False, False, 8, 1, 1)
    weights = np.ones(8 * 32, np.int16)
    with pytest.raises(StreamError, match="256 are needed"):
        unpack(weights[:-1], layout)
    with pytest.raises(StreamError, match="outside the kernel"):
        unpack(weights, layout)
