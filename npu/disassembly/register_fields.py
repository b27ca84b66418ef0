"""Bit fields of the registers that a command stream sets, under Vela's names.

    >>> describe("OFM_PRECISION", 0x8143)
    'precision S16, format NHCWB16, scaling 1, rounding NATURAL'

Most registers are one number: a size less one (names ending in `_M1`), an address, a stride, a zero point.  A few pack
several fields; this module has those.

Source: the structures and enumerations of Vela's `ethos_u55_regs`, which a test compares; the bits of KERNEL_STRIDE,
which have no names there, are those of its `register_command_stream_generator.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BitField:
    """A field of `width` bits from bit `low`; `values` names the values of an enumeration."""

    name: str
    low: int
    width: int
    values: Mapping[int, str] = field(default_factory=dict)

    def of(self, register: int) -> int:
        """Extracts this field from a register's value."""
        return register >> self.low & ((1 << self.width) - 1)

    def describe(self, register: int) -> str:
        """Formats this field of a register's value as `name value`."""
        value = self.of(register)
        return f"{self.name} {self.values.get(value, value)}"


_FORMAT = {0: "NHWC", 1: "NHCWB16"}
_ROUNDING = {0: "TFL", 1: "TRUNCATE", 2: "NATURAL"}
_INPUT = {0: "U8", 1: "S8", 4: "U16", 5: "S16", 9: "S32"}
_OUTPUT = {0: "U8", 1: "S8", 2: "U16", 3: "S16", 5: "S32"}
_SCALE_MODE = {0: "SCALE_16BIT", 1: "SCALE_OPA_32BIT", 2: "SCALE_OPB_32BIT"}
_STRIDE_MODE = {0: "STRIDE_MODE_1D", 1: "STRIDE_MODE_2D", 2: "STRIDE_MODE_3D"}
_CLIP = {0: "OFM_PRECISION", 2: "FORCE_UINT8", 3: "FORCE_INT8", 5: "FORCE_INT16"}
_FUNCTION = {0: "NONE", 3: "TANH", 4: "SIGMOID", **{16 + slot: f"LUT {slot}" for slot in range(8)}}
_DMA_SIDE = (BitField("region", 0, 8), BitField("internal", 8, 1), BitField("stride_mode", 9, 2, _STRIDE_MODE))

FIELDS: Mapping[str, tuple[BitField, ...]] = {
    "IFM_PRECISION": (
        BitField("precision", 0, 4, _INPUT),
        BitField("format", 6, 2, _FORMAT),
        BitField("scale_mode", 8, 2, _SCALE_MODE),
        BitField("round_mode", 14, 2, _ROUNDING),
    ),
    "IFM2_PRECISION": (BitField("precision", 0, 4, _INPUT), BitField("format", 6, 2, _FORMAT)),
    "OFM_PRECISION": (
        BitField("precision", 0, 3, _OUTPUT),
        BitField("format", 6, 2, _FORMAT),
        BitField("scaling", 8, 1),
        BitField("rounding", 14, 2, _ROUNDING),
    ),
    "IFM2_BROADCAST": (
        BitField("broadcast_height", 0, 1),
        BitField("broadcast_width", 1, 1),
        BitField("broadcast_depth", 2, 1),
        BitField("operand_order", 6, 1),
        BitField("broadcast_scalar", 7, 1),
    ),
    "IFM_UPSCALE": (BitField("mode", 0, 2, {0: "NONE", 1: "NEAREST", 2: "TRANSPOSE"}),),
    "ACC_FORMAT": (BitField("acc_format", 0, 16, {0: "INT_32BIT", 1: "INT_40BIT", 2: "FP_S5_10"}),),
    "ACTIVATION": (BitField("type", 0, 12, _FUNCTION), BitField("act_clip_range", 12, 4, _CLIP)),
    "KERNEL_STRIDE": (
        BitField("stride_x_lsb", 0, 1),
        BitField("stride_y_lsb", 1, 1),
        BitField("weight_order", 2, 1, {0: "DEPTH_FIRST", 1: "PART_KERNEL_FIRST"}),
        BitField("dilation_x", 3, 1),
        BitField("dilation_y", 4, 1),
        BitField("stride_x_msb", 6, 1),
        BitField("stride_y_msb", 9, 1),
    ),
    "DMA0_SRC_REGION": _DMA_SIDE,
    "DMA0_DST_REGION": _DMA_SIDE,
}


def describe(register: str, value: int) -> str:
    """Formats the fields of a register's value in one line; empty for a register without fields."""
    return ", ".join(part.describe(value) for part in FIELDS.get(register, ()))
