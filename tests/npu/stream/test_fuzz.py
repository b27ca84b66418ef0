"""No command stream, however damaged, does more than raise a `StreamError` that names a word, or costs much."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError, StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.program import decode
from hil.npu.stream import limits
from hil.npu.stream.commands import Op
from hil.npu.stream.constants import KnownMemory, Spans
from hil.npu.stream.operations import Range
from tests.support.fuzzing.assembly import STOP, assemble
from tests.support.fuzzing.mutation import mutate_stream
from tests.support.fuzzing.seeds import make_seeds
from tests.support.fuzzing.targets import TARGETS, Context

U55 = Accelerator.from_name("ethos-u55-128")
STEP = 4
"""Of the conformance suite's operators and types, every fourth is a seed."""

MUCH = 64 << 20
"""Bytes that no short stream may need."""


def _flip(data: bytes, most: int) -> bytes:
    """Stands in for the fuzzer's own mutations: one bit, of a byte that the data themselves choose."""
    at = sum(data) % len(data)
    return data[:at] + bytes([data[at] ^ 1 << len(data) % 8]) + data[at + 1 :]


@settings(max_examples=250, derandomize=True)
@given(st.integers(0, 1 << 16), st.lists(st.integers(0, 1 << 32), min_size=1, max_size=6))
def test_changed_streams_stay_inside_and_say_what_is_wrong(which, changes):
    """Registers with other values, operations in other places, cut streams: run with NumPy and the compiled loops."""
    seeds = make_seeds(STEP)
    data = seeds.inputs["stream"][which % len(seeds.inputs["stream"])]
    for change in changes:
        data = mutate_stream(data, 1 << 15, change, _flip)
    TARGETS["stream"](data, seeds.contexts)


def test_seeds_run():
    seeds = make_seeds(STEP)
    assert len(seeds.contexts) > 5
    assert {TARGETS["stream"](data, seeds.contexts) for data in seeds.inputs["stream"]} == {"ok"}


PIXEL = [
    ("IFM_PRECISION", 1), ("OFM_PRECISION", 1), ("IFM_REGION", 1), ("OFM_REGION", 1), ("IFM_DEPTH_M1", 1023),
    ("OFM_DEPTH_M1", 1023), ("IFM_STRIDE_X", 1024), ("IFM_STRIDE_Y", 1024), ("OFM_STRIDE_X", 1024),
    ("OFM_STRIDE_Y", 1024), ("ACTIVATION_MIN", -128), ("ACTIVATION_MAX", 127), ("OFM_BASE0", 1024),
]  # fmt: skip
"""Input and output of one pixel and 1,024 channels."""

BOMBS = {
    ("a pixel padded to 256x256", "padding of"): [
        *PIXEL, ("KERNEL_HEIGHT_M1", 255), ("KERNEL_WIDTH_M1", 255), ("IFM_PAD_TOP", 255), ("IFM_PAD_LEFT", 255),
        (Op.POOL, 0),
    ],
    ("a pool of 256x256 at 2^20 places", "a kernel and output of 68719476736 steps"): [
        *PIXEL, ("OFM_HEIGHT_M1", 1023), ("OFM_WIDTH_M1", 1023), ("IFM_DEPTH_M1", 0), ("OFM_DEPTH_M1", 0),
        ("OFM_STRIDE_X", 1), ("OFM_STRIDE_Y", 1024), ("OFM_WIDTH0_M1", 1023), ("OFM_HEIGHT0_M1", 1023),
        ("KERNEL_HEIGHT_M1", 255), ("KERNEL_WIDTH_M1", 255), (Op.POOL, 0),
    ],
    ("a copy of 2^40 elements", "an OFM of 1099511627776 elements"): [
        *PIXEL, ("OFM_HEIGHT_M1", 65535), ("OFM_WIDTH_M1", 65535), ("OFM_DEPTH_M1", 255), (Op.ELEMENTWISE, 3),
    ],
    ("an input of 2^26 elements in 4 bytes", "an IFM of 67108864 elements that share bytes"): [
        *PIXEL, ("OFM_HEIGHT_M1", 4095), ("OFM_WIDTH_M1", 4095), ("OFM_DEPTH_M1", 3), ("OFM_STRIDE_X", 4),
        ("OFM_STRIDE_Y", 16384), ("OFM_WIDTH0_M1", 4095), ("OFM_HEIGHT0_M1", 4095), ("IFM_WIDTH0_M1", 4095),
        ("IFM_HEIGHT0_M1", 4095), ("IFM_STRIDE_X", 0), ("IFM_STRIDE_Y", 0), (Op.ELEMENTWISE, 6),
    ],
    ("copies in many pieces, again and again", "DMAs of .* pieces or more"): [
        ("DMA0_SRC_REGION", 1 | 2 << 9), ("DMA0_DST_REGION", 1), ("DMA0_LEN", 1), ("DMA0_SIZE0", 512),
        ("DMA0_SIZE1", 500), (Op.DMA_START, 0), (Op.DMA_START, 0),
    ],
    ("a copy in 2^32 pieces", "a DMA of 4294836225 pieces"): [
        ("DMA0_SRC_REGION", 1 | 2 << 9), ("DMA0_DST_REGION", 1), ("DMA0_LEN", 1), ("DMA0_SIZE0", 65535),
        ("DMA0_SIZE1", 65535), (Op.DMA_START, 0),
    ],
    ("weights for 2^32 elements", "the convolution is too large"): [
        *PIXEL, ("IFM_DEPTH_M1", 65535), ("OFM_DEPTH_M1", 65535), ("OFM_STRIDE_X", 65536), ("OFM_STRIDE_Y", 65536),
        ("IFM_STRIDE_X", 65536), ("IFM_STRIDE_Y", 65536), ("WEIGHT_LENGTH", 64), (Op.CONV, 0),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "message"), BOMBS)
def test_a_short_stream_costs_little(name, message):
    words = assemble(*BOMBS[name, message], STOP)
    tracemalloc.start()
    try:
        with pytest.raises(StreamError, match=message) as caught:
            decode(words, U55, {0: np.zeros(1 << 20, np.uint8)})
        assert tracemalloc.get_traced_memory()[1] < MUCH
    finally:
        tracemalloc.stop()
    assert caught.value.word_offset == len(words) - 2


def test_operations_are_counted():
    words = np.array([Op.KERNEL_WAIT] * (limits.OPERATIONS + 1), np.uint32)
    with pytest.raises(StreamError, match="262145 operations or more, and the limit is 262144") as caught:
        decode(words, U55, {})
    assert caught.value.word_offset == limits.OPERATIONS
    assert "HIL_NPU_LIMITS=N" in caught.value.hint


def test_the_steps_of_a_program_are_counted(monkeypatch):
    """Each pool is within the limit of an operation: 128x128 elements under a kernel at 512x512 places."""
    wide = [("OFM_WIDTH_M1", 511), ("OFM_HEIGHT_M1", 511), ("OFM_WIDTH0_M1", 511), ("OFM_HEIGHT0_M1", 511)]
    wide += [("OFM_STRIDE_X", 1), ("OFM_STRIDE_Y", 512), ("KERNEL_WIDTH_M1", 127), ("KERNEL_HEIGHT_M1", 127)]
    wide += [
        ("OFM_DEPTH_M1", 0),
        ("IFM_DEPTH_M1", 0),
        ("OFM_BASE0", 1 << 20),
        ("IFM_WIDTH0_M1", 1023),
        ("IFM_HEIGHT0_M1", 1023),
        ("IFM_STRIDE_X", 1),
        ("IFM_STRIDE_Y", 1024),
    ]
    words = assemble(*PIXEL, *wide, *[(Op.POOL, 0)] * 17, STOP)
    with pytest.raises(StreamError, match="operations of 73014444032 steps or more together"):
        decode(words, U55, {})
    monkeypatch.setenv("HIL_NPU_LIMITS", "2")
    assert len(decode(words, U55, {}).operations) == 17
    monkeypatch.setenv("HIL_NPU_LIMITS", "many")
    with pytest.raises(BadInputError, match="HIL_NPU_LIMITS=many is no whole number"):
        decode(words, U55, {})


def test_a_sum_over_depth_has_one_channel():
    with pytest.raises(StreamError, match="more than one channel") as caught:
        decode(assemble(*PIXEL, (Op.POOL, 2), STOP), U55, {})
    assert caught.value.word_offset == len(PIXEL) + 5


def test_a_sum_of_bytes_may_have_scales_by_channel():
    """No table of pairs of bytes gives its results, since channels differ."""
    second = [("IFM2_PRECISION", 1), ("IFM2_REGION", 1), ("IFM2_STRIDE_X", 1024), ("IFM2_STRIDE_Y", 1024)]
    words = assemble(*PIXEL, *second, (Op.ELEMENTWISE, 1), STOP)
    context = Context(U55, np.random.default_rng(0).integers(0, 256, 10240, np.uint8), 2048)
    assert TARGETS["stream"](b"\0" + words.astype("<u4").tobytes(), [context]) == "ok"


def test_nothing_is_copied_from_a_region_that_is_not_there():
    words = assemble(("DMA0_SRC_REGION", 7), ("DMA0_DST_REGION", 1), (Op.DMA_START, 0), STOP)
    memory = np.arange(16, dtype=np.uint8)[None]
    decode(words, U55, {}).run({1: memory})
    assert memory[0].tolist() == list(range(16))


@pytest.mark.parametrize(("base", "apart"), [(1024 + 64, True), (1024 + 63, False), (1024, False), (1024 - 64, True)])
def test_tiles_of_an_output_lie_apart(base, apart):
    tiles = [
        ("OFM_HEIGHT_M1", 1), ("OFM_DEPTH_M1", 63), ("IFM_DEPTH_M1", 63), ("OFM_STRIDE_X", 64), ("OFM_STRIDE_Y", 64),
        ("IFM_STRIDE_X", 64), ("IFM_STRIDE_Y", 64), ("IFM_HEIGHT0_M1", 1), ("OFM_BASE2", base), (Op.POOL, 0), STOP,
    ]  # fmt: skip
    words = assemble(*PIXEL, *tiles)
    if apart:
        decode(words, U55, {})
        return
    with pytest.raises(StreamError, match="over each other") as caught:
        decode(words, U55, {})
    assert caught.value.word_offset == len(words) - 2


@pytest.mark.parametrize("memory", [np.zeros((1, 4096), np.int8), np.zeros((4096, 2), np.uint8).T])
def test_memory_of_another_kind_is_refused(memory):
    """Compiled loops would work on other addresses than its bytes have."""
    with pytest.raises(BadInputError, match="one behind the other"):
        decode(assemble(*PIXEL, (Op.POOL, 0), STOP), U55, {}).run({1: memory})


def test_memory_that_cannot_be_written_is_refused():
    memory = np.zeros((1, 4096), np.uint8)
    memory.setflags(write=False)
    with pytest.raises(BadInputError, match="cannot be written"):
        decode(assemble(*PIXEL, (Op.POOL, 0), STOP), U55, {}).run({1: memory})


@pytest.mark.parametrize(("low", "high", "stored"), [(446, 500, 127), (-500, -446, -128), (100, -100, 100)])
def test_limits_that_are_no_numbers_of_the_type_are_its_own(low, high, stored):
    """The conversion of a float beyond a type's range depends on the CPU."""
    words = assemble(*PIXEL, ("ACTIVATION_MIN", low), ("ACTIVATION_MAX", high), (Op.POOL, 0), STOP)
    memory = np.full((1, 4096), 7, np.uint8)
    decode(words, U55, {}).run({1: memory})
    assert set(memory[0, 1024:2048].view(np.int8).tolist()) == {stored}


def test_zeros_between_elements_need_not_be_numbers_of_their_type():
    """An input enlarged with zero points of 144, which no int8 is, and a pool over it."""
    words = assemble(
        *PIXEL, ("IFM_DEPTH_M1", 0), ("OFM_DEPTH_M1", 0), ("OFM_HEIGHT_M1", 1), ("OFM_HEIGHT0_M1", 1),
        ("IFM_UPSCALE", 2), ("IFM_ZERO_POINT", 144), (Op.POOL, 0), STOP,
    )  # fmt: skip
    memory = np.full((1, 4096), 100, np.uint8)
    decode(words, U55, {}).run({1: memory})
    assert memory[0, [1024, 2048]].view(np.int8).tolist() == [100 - 144, 0]


_WRITES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9), st.booleans()), max_size=30)


@settings(max_examples=200, derandomize=True)
@given(_WRITES, st.integers(0, 35), st.integers(1, 10))
def test_known_bytes_are_those_that_were_written_last(writes, start, length):
    known = KnownMemory({})
    expected: list[int | None] = [None] * 60
    for number, (low, size, has_data) in enumerate(writes):
        known.write(1, low, low + size, np.full(size, number, np.uint8) if has_data else None)
        expected[low : low + size] = [number if has_data else None] * size
    found = known.read(Range(1, start, length))
    wanted = expected[start : start + length]
    if found is not None:
        assert found.tolist() == wanted
    elif None not in wanted:
        assert len(set(wanted)) > 1  # Bytes of several copies are not put together.


@settings(max_examples=200, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, 9)), max_size=12), st.integers(0, 35))
def test_spans_meet_what_has_a_byte_in_common(parts, start):
    spans = Spans((region, low, low + size) for region, low, size in parts)
    for region in (0, 1):
        members = {at for where, low, size in parts if where == region for at in range(low, low + size)}
        for end in range(start + 1, start + 8):
            assert spans.overlaps(region, start, end) == bool(members & set(range(start, end)))
