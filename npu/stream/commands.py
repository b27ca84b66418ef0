"""Command stream decoder: from 32-bit words to operation commands with their registers.

    for command in decode_commands(words):
        print(command.word_offset, command.op, command.registers["OFM_REGION"])

The low 10 bits of a word are the command's code, bits 14-15 its kind: kind 0 carries a 16-bit parameter in bits 16-31;
kind 1 is followed by one word of payload (a 40-bit address with its top byte in the parameter, or a scale with its
shift in the parameter).  Codes below 0x100 of kind 0 are operations.  All others set a register, which holds its
value until it is set again: Vela only emits changes.  An operation uses the current registers, so `decode_commands`
gives each operation a copy of all of them.

Source: the classes `cmd0` and `cmd1` of Vela's `ethos_u55_regs` (a test compares the tables).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from hil.core.errors import StreamError
from hil.npu.stream import limits
from hil.npu.stream.payload import Words


class Op(IntEnum):
    """Codes of the commands that start an operation, wait, or end the stream."""

    STOP = 0x00
    IRQ = 0x01
    CONV = 0x02
    DEPTHWISE = 0x03
    POOL = 0x05
    ELEMENTWISE = 0x06
    DMA_START = 0x10
    DMA_WAIT = 0x11
    KERNEL_WAIT = 0x12
    PMU_MASK = 0x13


REGISTERS_16 = {
    0x100: "IFM_PAD_TOP",
    0x101: "IFM_PAD_LEFT",
    0x102: "IFM_PAD_RIGHT",
    0x103: "IFM_PAD_BOTTOM",
    0x104: "IFM_DEPTH_M1",
    0x105: "IFM_PRECISION",
    0x107: "IFM_UPSCALE",
    0x109: "IFM_ZERO_POINT",
    0x10A: "IFM_WIDTH0_M1",
    0x10B: "IFM_HEIGHT0_M1",
    0x10C: "IFM_HEIGHT1_M1",
    0x10D: "IFM_IB_END",
    0x10F: "IFM_REGION",
    0x111: "OFM_WIDTH_M1",
    0x112: "OFM_HEIGHT_M1",
    0x113: "OFM_DEPTH_M1",
    0x114: "OFM_PRECISION",
    0x115: "OFM_BLK_WIDTH_M1",
    0x116: "OFM_BLK_HEIGHT_M1",
    0x117: "OFM_BLK_DEPTH_M1",
    0x118: "OFM_ZERO_POINT",
    0x11A: "OFM_WIDTH0_M1",
    0x11B: "OFM_HEIGHT0_M1",
    0x11C: "OFM_HEIGHT1_M1",
    0x11F: "OFM_REGION",
    0x120: "KERNEL_WIDTH_M1",
    0x121: "KERNEL_HEIGHT_M1",
    0x122: "KERNEL_STRIDE",
    0x123: "PARALLEL_MODE",
    0x124: "ACC_FORMAT",
    0x125: "ACTIVATION",
    0x126: "ACTIVATION_MIN",
    0x127: "ACTIVATION_MAX",
    0x128: "WEIGHT_REGION",
    0x129: "SCALE_REGION",
    0x12D: "AB_START",
    0x12F: "BLOCKDEP",
    0x130: "DMA0_SRC_REGION",
    0x131: "DMA0_DST_REGION",
    0x132: "DMA0_SIZE0",
    0x133: "DMA0_SIZE1",
    0x180: "IFM2_BROADCAST",
    0x181: "IFM2_SCALAR",
    0x185: "IFM2_PRECISION",
    0x189: "IFM2_ZERO_POINT",
    0x18A: "IFM2_WIDTH0_M1",
    0x18B: "IFM2_HEIGHT0_M1",
    0x18C: "IFM2_HEIGHT1_M1",
    0x18D: "IFM2_IB_START",
    0x18F: "IFM2_REGION",
}
"""Registers with a 16-bit value, by command code."""

REGISTERS_40 = {
    **{0x00 + i: f"IFM_{name}" for i, name in enumerate(
        ("BASE0", "BASE1", "BASE2", "BASE3", "STRIDE_X", "STRIDE_Y", "STRIDE_C"))},
    **{0x10 + i: f"OFM_{name}" for i, name in enumerate(
        ("BASE0", "BASE1", "BASE2", "BASE3", "STRIDE_X", "STRIDE_Y", "STRIDE_C"))},
    **{0x80 + i: f"IFM2_{name}" for i, name in enumerate(
        ("BASE0", "BASE1", "BASE2", "BASE3", "STRIDE_X", "STRIDE_Y", "STRIDE_C"))},
    0x20: "WEIGHT_BASE",
    0x21: "WEIGHT_LENGTH",
    0x22: "SCALE_BASE",
    0x23: "SCALE_LENGTH",
    0x30: "DMA0_SRC",
    0x31: "DMA0_DST",
    0x32: "DMA0_LEN",
    0x33: "DMA0_SKIP0",
    0x34: "DMA0_SKIP1",
    0x90: "WEIGHT1_BASE",
    0x91: "WEIGHT1_LENGTH",
    0x92: "SCALE1_BASE",
    0x93: "SCALE1_LENGTH",
}  # fmt: skip
"""Registers with a 40-bit value (addresses, strides, lengths), by command code."""

REGISTERS_SCALE = {0x24: "OFM_SCALE", 0x25: "OPA_SCALE", 0x26: "OPB_SCALE"}
"""Registers with a 32-bit scale, whose shift (6 bits) goes into the register of the same name + `_SHIFT`."""

SIGNED_16 = frozenset({"ACTIVATION_MIN", "ACTIVATION_MAX", "IFM2_SCALAR"}
                      | {f"{fm}_ZERO_POINT" for fm in ("IFM", "IFM2", "OFM")})  # fmt: skip
SIGNED_40 = frozenset({f"{fm}_STRIDE_{axis}" for fm in ("IFM", "IFM2", "OFM") for axis in "XYC"}
                      | {"DMA0_SKIP0", "DMA0_SKIP1"})  # fmt: skip

_RESET = dict.fromkeys(
    [*REGISTERS_16.values(), *REGISTERS_40.values()]
    + [name + suffix for name in REGISTERS_SCALE.values() for suffix in ("", "_SHIFT")],
    0,
)


@dataclass(frozen=True)
class StreamCommand:
    """One operation command: its parameter, its word offset, and the value of every register at that point.

    Registers hold Python integers, signed where the hardware takes them as signed.
    """

    op: Op
    parameter: int
    word_offset: int
    registers: Mapping[str, int]


def signed(value: int, bits: int) -> int:
    """Reads `value` (unsigned, `bits` wide) as a two's complement number."""
    return value - (1 << bits) if value >> (bits - 1) else value


def decode_commands(words: Words) -> Iterator[StreamCommand]:
    """Yields all operation commands up to and including STOP.

    Raises `StreamError` with the word offset for an unknown code, a missing payload word, more than
    `limits.OPERATIONS` operations, and a stream that does not end in STOP.
    """
    registers = dict(_RESET)
    operations = 0
    values = words.tolist()
    at = 0
    while at < len(values):
        word = values[at]
        code, parameter, kind = word & 0x3FF, word >> 16, word >> 14 & 3
        if kind == 0 and code < 0x100:
            if code not in Op._value2member_map_:
                raise StreamError(f"unknown operation {code:#x}", word_offset=at)
            operations += 1
            limits.check(operations, limits.OPERATIONS, "{} operations or more", at)
            yield StreamCommand(Op(code), parameter, at, dict(registers))
            if code == Op.STOP:
                return
            at += 1
        elif kind == 0:
            _set_16(registers, code, parameter, at)
            at += 1
        elif kind == 1:
            if at + 1 >= len(values):
                raise StreamError("the stream ends before the command's payload", word_offset=at)
            _set_payload(registers, code, parameter, values[at + 1], at)
            at += 2
        else:
            raise StreamError(f"word {word:#010x} is no command", word_offset=at)
    raise StreamError("the command stream does not end in STOP", word_offset=len(values))


def _set_16(registers: dict[str, int], code: int, parameter: int, at: int) -> None:
    name = REGISTERS_16.get(code)
    if name is None:
        raise StreamError(f"unknown register command {code:#x}", word_offset=at)
    registers[name] = signed(parameter, 16) if name in SIGNED_16 else parameter


def _set_payload(registers: dict[str, int], code: int, parameter: int, payload: int, at: int) -> None:
    if code in REGISTERS_SCALE:
        name = REGISTERS_SCALE[code]
        registers[name] = payload
        registers[name + "_SHIFT"] = parameter & 63
        return
    name40 = REGISTERS_40.get(code)
    if name40 is None:
        raise StreamError(f"unknown register command {code:#x} with payload", word_offset=at)
    value = payload | (parameter & 0xFF) << 32
    registers[name40] = signed(value, 40) if name40 in SIGNED_40 else value
