"""Structures that the compiled code reads, as `native.h` declares them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

ANY_OPERANDS, PAIRS_OF_BYTES, DOTS_OF_BYTES = range(3)
"""Operands of convolutions."""

SCALES = np.dtype(
    [
        *((name, "u8", 16) for name in ("factor", "rounding", "shift", "nudge")),
        ("offset", "u4", 16),
        *((name, "f4", 16) for name in ("multiplier", "low", "high", "nudged")),
    ]
)
"""Constants that scale the sums of sixteen channels."""

COPY, CONVOLUTION, POOL, ELEMENTWISE = range(4)
"""Kinds of steps."""

SLACK = 256
"""Bytes after a buffer that loads of whole vectors may read."""


def _fields(numbers: str, pointers: str = "") -> list[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = [(name, ctypes.c_int64) for name in numbers.split()]
    return parts + [(name, ctypes.c_void_p) for name in pointers.split()]


class Map(ctypes.Structure):
    """A feature map."""

    _fields_ = _fields("region size is_signed height width depth split step_x step_c", "left right")


class Stage(ctypes.Structure):
    """An output stage."""

    _fields_ = _fields(
        "mode rounding zero_point low high wraps function table_kind table_signed",
        "bias factor shift multiplier half nudge table slope",
    )


class Window(ctypes.Structure):
    """A kernel and the padding around its input."""

    _fields_ = _fields(
        "height width stride_y stride_x dilation_y dilation_x top left padded_height padded_width inside_height "
        "inside_width upscale"
    )


class Copy(ctypes.Structure):
    """A DMA."""

    _fields_ = _fields("source destination length pieces", "sources destinations")


class Convolution(ctypes.Structure):
    """A convolution, or an average as one whose weights are 1."""

    _fields_ = [
        ("ifm", Map), ("ofm", Map), ("window", Window), ("stage", Stage),
        *_fields(
            "whole zero_point fits_int32 chunk operands flip fill two_sided fast tile_rows tile_samples runs groups "
            "vectors",
            "offsets weights first scales table",
        ),
    ]  # fmt: skip


class Pool(ctypes.Structure):
    """A pool."""

    _fields_ = [
        ("ifm", Map), ("ofm", Map), ("window", Window), ("stage", Stage),
        *_fields("function zero_point lowest", "factor shift"),
    ]  # fmt: skip


class Elementwise(ctypes.Structure):
    """An elementwise operation."""

    _fields_ = [
        ("ifm", Map), ("ifm2", Map), ("ofm", Map), ("stage", Stage),
        *_fields("kind has_second scalar zero_point zero_point2 reversed scaled_operand operand_rounding whole_first"),
        *_fields("factor_a shift_a factor_b scaled factor shift", "pairs"),
        *_fields("pairs_ready computed linear"),
        *[(name, ctypes.c_float) for name in ("by_first", "by_second", "low", "high")],
    ]  # fmt: skip


class Step(ctypes.Structure):
    """One step of a program; `scratch` bytes of memory are its own while it runs."""

    _fields_ = _fields("kind scratch", "data")


class Stretch(ctypes.Structure):
    """`count` steps that run on `group` samples at a time."""

    _fields_ = _fields("count group")


@dataclass(frozen=True)
class NativeStep:
    """A step for the compiled code.

    `data` is the structure of its kind and `kept` what that refers to; `sample_bytes` are the bytes of a sample that it
    reads and writes, `work` its multiplications or elements.
    """

    kind: int
    scratch: int
    data: ctypes.Structure
    kept: tuple[Any, ...]
    sample_bytes: int
    work: int

    @property
    def record(self) -> Step:
        """The record that names it; valid while this object lives."""
        return Step(self.kind, self.scratch, ctypes.addressof(self.data))
