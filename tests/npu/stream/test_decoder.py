"""Command streams that are malformed or out of bounds raise an error that names the word."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError, StreamError
from hil.npu.accelerator import ALL, Accelerator
from hil.npu.program import decode
from hil.npu.stream.commands import REGISTERS_16, REGISTERS_40, REGISTERS_SCALE, Op, decode_commands
from hil.npu.stream.payload import FOURCC, parse_payload

U55 = Accelerator.from_name("ethos-u55-128")
CODES = {name: code for table in (REGISTERS_16, REGISTERS_40, REGISTERS_SCALE) for code, name in table.items()}
KINDS = {name: int(name not in REGISTERS_16.values()) for name in CODES}


def assemble(*commands):
    """Words of commands given as (register, value) or (Op, parameter), with STOP at the end."""
    words = []
    for what, value in commands:
        if isinstance(what, Op):
            words.append(what | value << 16)
        elif KINDS[what]:
            words += [CODES[what] | 1 << 14 | (value >> 32 & 0xFF) << 16, value & 0xFFFFFFFF]
        else:
            words.append(CODES[what] | (value & 0xFFFF) << 16)
    return np.array([*words, Op.STOP | 0xFFFF << 16], np.uint32)


POOL = [
    ("IFM_PRECISION", 1), ("OFM_PRECISION", 1), ("IFM_REGION", 1), ("OFM_REGION", 1),
    ("OFM_HEIGHT_M1", 3), ("OFM_WIDTH_M1", 3), ("OFM_DEPTH_M1", 7),
    ("IFM_HEIGHT0_M1", 3), ("IFM_HEIGHT1_M1", 3), ("IFM_WIDTH0_M1", 3),
    ("OFM_HEIGHT0_M1", 3), ("OFM_HEIGHT1_M1", 3), ("OFM_WIDTH0_M1", 3),
    ("IFM_STRIDE_X", 8), ("IFM_STRIDE_Y", 32), ("OFM_STRIDE_X", 8), ("OFM_STRIDE_Y", 32),
    ("ACTIVATION_MIN", -128), ("ACTIVATION_MAX", 127),
    ("IFM_BASE0", 0), ("OFM_BASE0", 128),
]  # fmt: skip
"""A 1x1 maximum pool, that is a copy, of 4x4x8 bytes from 0 to 128 of region 1."""


def test_tables_equal_velas():
    from ethosu.vela.ethos_u55_regs import ethos_u55_regs as regs

    plain = {command.value: command.name for command in regs.cmd0}
    assert {code: f"NPU_OP_{Op(code).name}" for code in Op} | {
        code: f"NPU_SET_{name}" for code, name in REGISTERS_16.items()
    } == plain
    payload = {command.value: command.name for command in regs.cmd1}
    assert {code: f"NPU_SET_{name}" for code, name in (REGISTERS_40 | REGISTERS_SCALE).items()} == payload


def test_a_copy_runs():
    program = decode(assemble(*POOL, (Op.POOL, 0)), U55, {})
    memory = np.arange(2 * 256, dtype=np.uint32).astype(np.uint8).reshape(2, 256)
    program.run({1: memory})
    np.testing.assert_array_equal(memory[:, 128:], memory[:, :128])


def test_elements_of_an_input_may_share_bytes():
    """As Vela writes it for a bilinear resize that is joined: here pixels are 4 bytes apart and rows 16."""
    strides = [("IFM_STRIDE_X", 4), ("IFM_STRIDE_Y", 16)]
    memory = np.arange(2 * 256, dtype=np.uint32).astype(np.uint8).reshape(2, 256)
    decode(assemble(*POOL, *strides, (Op.POOL, 0)), U55, {}).run({1: memory})
    places = np.arange(4)[:, None, None] * 16 + np.arange(4)[:, None] * 4 + np.arange(8)
    np.testing.assert_array_equal(memory[:, 128:], memory[:, places.ravel()])


def test_registers_keep_their_values():
    commands = list(decode_commands(assemble(("IFM_BASE0", 5), (Op.POOL, 0), ("IFM_ZERO_POINT", -3), (Op.POOL, 1))))
    assert [c.registers["IFM_BASE0"] for c in commands] == [5, 5, 5]
    assert [c.registers["IFM_ZERO_POINT"] for c in commands] == [0, -3, -3]
    assert [c.word_offset for c in commands] == [2, 4, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("OFM_BASE0", 129), "region 1 has 256 bytes and the command reaches to 257"),
        (("IFM_STRIDE_Y", 100), "region 1 has 256 bytes"),
        (("IFM_STRIDE_Y", -1), "before its region"),
        (("OFM_STRIDE_X", 4), "over each other"),
        (("OFM_STRIDE_Y", 12), "over each other"),
        (("IFM_REGION", 4), "region 4 has 0 bytes"),
        (("IFM_PAD_TOP", 9), "nothing of the input"),
        (("OFM_PRECISION", 3 << 1), "OFM_PRECISION"),
        (("OFM_PRECISION", 1 | 3 << 14), "rounding mode 3"),
        (("ACTIVATION", 9), "activation"),
        (("ACTIVATION", 3), "TANH"),
        (("IFM_UPSCALE", 3), "upscale mode 3"),
        (("ACC_FORMAT", 2), "floating point are not modelled"),
    ],
)
def test_bad_operations_name_their_word(change, message):
    words = assemble(*POOL, change, (Op.POOL, 0))
    memory = np.zeros((1, 256), np.uint8)
    with pytest.raises(StreamError, match=message) as caught:
        decode(words, U55, {}).run({1: memory})
    assert caught.value.word_offset == len(words) - 2
    assert not memory.any()


@pytest.mark.parametrize(
    ("dma", "message"),
    [
        ([("DMA0_SRC", 200), ("DMA0_LEN", 57)], "region 1 has 256 bytes and the command reaches to 257"),
        ([("DMA0_DST_REGION", 0x100), ("DMA0_DST", 24 * 1024), ("DMA0_LEN", 1)], "SHRAM has 24576 bytes"),
        ([("DMA0_DST_REGION", 0), ("DMA0_LEN", 1)], "read-only"),
        ([("DMA0_SRC_REGION", 0), ("DMA0_LEN", 17)], "region 0 has 16 bytes"),
    ],
)
def test_bad_copies_name_their_word(dma, message):
    words = assemble(("DMA0_SRC_REGION", 1), ("DMA0_DST_REGION", 1), *dma, (Op.DMA_START, 0))
    with pytest.raises(StreamError, match=message) as caught:
        decode(words, U55, {0: np.zeros(16, np.uint8)}).run({1: np.zeros((1, 256), np.uint8)})
    assert caught.value.word_offset == len(words) - 2


@pytest.mark.parametrize(("rounding", "halves"), [(0, 1), (1, 0), (2, 1)], ids=["TFL", "TRUNCATE", "NATURAL"])
def test_rounding_modes(rounding, halves):
    """An average of one element, halved: TRUNCATE goes towards zero, the others round halves up."""
    scale = [("OFM_PRECISION", 1 | 0x100 | rounding << 14), ("OFM_SCALE", 1 | 1 << 32)]
    memory = np.arange(2 * 128).astype(np.uint8).reshape(2, 128).repeat(2, axis=1)
    given = memory[:, :128].view(np.int8).astype(int)
    decode(assemble(*POOL, *scale, (Op.POOL, 1)), U55, {}).run({1: memory})
    wanted = [[int((value + halves) // 2) if halves else int(value / 2) for value in row] for row in given]
    assert memory[:, 128:].view(np.int8).tolist() == wanted


def test_strided_copies():
    """Two planes of three pieces of two bytes, gathered from strides of 5 and 5*3 + 1."""
    words = assemble(
        ("DMA0_SRC_REGION", 1 | 2 << 9), ("DMA0_DST_REGION", 2), ("DMA0_LEN", 2),
        ("DMA0_SIZE0", 3), ("DMA0_SIZE1", 2), ("DMA0_SKIP0", 3), ("DMA0_SKIP1", 1), (Op.DMA_START, 0),
    )  # fmt: skip
    source, destination = np.arange(64, dtype=np.uint8)[None], np.zeros((1, 12), np.uint8)
    decode(words, U55, {}).run({1: source, 2: destination})
    assert destination[0].tolist() == [0, 1, 5, 6, 10, 11, 16, 17, 21, 22, 26, 27]


def test_streams_that_are_cut_or_unknown():
    whole = assemble(*POOL, (Op.POOL, 0))
    with pytest.raises(StreamError, match="does not end in STOP") as caught:
        list(decode_commands(whole[:-1]))
    assert caught.value.word_offset == len(whole) - 1
    with pytest.raises(StreamError, match="ends before the command's payload"):
        list(decode_commands(whole[:-3][: np.flatnonzero(whole == CODES["OFM_BASE0"] | 1 << 14)[0] + 1]))
    with pytest.raises(StreamError, match="unknown operation 0x4") as caught:
        list(decode_commands(np.array([0x104, 0x4], np.uint32)))
    assert caught.value.word_offset == 1


def _vela_words(shared_models, vela, name="kws_ref_int8"):
    from hil.npu.vela_output import read_compiled

    model = read_compiled(vela((shared_models / f"{name}.tflite").read_bytes(), U55.name))
    operator = model.main.operators[0]
    _, words = parse_payload(model.main.tensors[operator.command_stream].data)
    return model, operator, words


@settings(max_examples=300)
@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=60))
def test_random_words_only_raise_stream_errors(words):
    _attempt(np.array(words, np.uint32), {0: np.zeros(64, np.uint8)}, 1 << 12)


_REGISTER = st.sampled_from(sorted(CODES))
_VALUE = st.one_of(st.integers(0, 40), st.integers(-(1 << 39), (1 << 39) - 1))
_OPERATION = st.sampled_from([Op.CONV, Op.DEPTHWISE, Op.POOL, Op.ELEMENTWISE, Op.DMA_START])


@settings(max_examples=300)
@given(st.lists(st.one_of(st.tuples(_REGISTER, _VALUE), st.tuples(_OPERATION, st.integers(0, 9))), max_size=40))
def test_random_commands_only_raise_stream_errors(commands):
    _attempt(assemble(*POOL, *commands, (Op.POOL, 0)), {0: np.arange(64, dtype=np.uint8)}, 1 << 12)


def test_damaged_streams_only_raise_stream_errors(shared_models, vela):
    model, operator, words = _vela_words(shared_models, vela)
    constants = {0: model.main.tensors[operator.read_only].data}
    generator = np.random.default_rng(1)
    for _ in range(60):
        damaged = words.copy()
        for at in generator.integers(0, len(words), 2):
            damaged[at] ^= np.uint32(1 << generator.integers(32))
        _attempt(damaged, constants, model.arena_bytes)


def _attempt(words, constants, size):
    with contextlib.suppress(StreamError):
        decode(words, U55, constants, {2: 1}).run({1: np.zeros((1, size), np.uint8)})


@pytest.mark.parametrize("accelerator", ALL, ids=lambda a: a.name)
def test_payloads(accelerator):
    data = np.array([FOURCC, 0x0010_0001, accelerator.config_word, 0x10066001, 5, 5, 5, 2 | 2 << 16, 7, 8], np.uint32)
    found, words = parse_payload(data.tobytes())
    assert found is accelerator
    assert words.tolist() == [7, 8]
    for length in range(len(data)):
        with pytest.raises(StreamError):
            parse_payload(data[:length].tobytes())


def test_payloads_for_other_products():
    with pytest.raises(StreamError, match=r"product 2 \(Ethos-U85 is 2\), not for an Ethos-U55 or U65"):
        parse_payload(np.array([FOURCC, 1, 2 << 28 | 0x3008, 0, 2], np.uint32).tobytes())
    with pytest.raises(StreamError, match="no Ethos-U65 has 128 MACs"):
        parse_payload(np.array([FOURCC, 1, 1 << 28 | 0x3007, 0, 2], np.uint32).tobytes())
    with pytest.raises(BadInputError, match="no accelerator is called"):
        Accelerator.from_name("ethos-u55-512")


@given(st.binary(max_size=80))
def test_random_payloads_only_raise_stream_errors(data):
    for head in (b"", b"COP1"):
        with contextlib.suppress(StreamError):
            parse_payload(head + data)
