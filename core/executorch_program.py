"""An ExecuTorch program (`.pte`) as values: its first method's tensors, kernels and delegates, read without trust.

    program = read_program(data)              # raises BadInputError for what is none, or damaged
    program.inputs[0].shape, program.delegates[0].name

A program has *methods*, most often one, `forward`, whose instructions call *kernels* on the CPU and *delegates*: parts
that a backend compiled.  A delegate's bytes stand in the flatbuffer or in a *segment* behind it; the extended header
(`eh00`) says where the segments begin.

Sources: ExecuTorch's `program.fbs` (field numbers, enumerations) and `extended_header.h`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.flatbuffer import DAMAGED, Table, root_table

IDENTIFIER = b"ET12"

DTYPES = {
    number: np.dtype(name)
    for number, name in {
        0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool",
        27: "uint16", 28: "uint32", 29: "uint64",
    }.items()
}  # fmt: skip
"""ExecuTorch's ScalarType; the others are unknown to NumPy."""

_TENSOR, _KERNEL_CALL, _DELEGATE_CALL = 5, 1, 2
_LARGEST_RANK = 16
_HEADER = struct.Struct("<4sIQQ")
_T = TypeVar("_T")


@dataclass(frozen=True)
class ProgramTensor:
    """A tensor of a method's interface; `dim_order` lists its dimensions from the outermost in memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dim_order: tuple[int, ...]
    is_dynamic: bool

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Delegate:
    """A part that the backend `name` compiled to `data`."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Program:
    """The first method of a program, which runners run.

    `calls` are the kernels (`dim_order_ops::_clone_dim_order.out`) and delegates (by their backend) in order of
    execution; `planned_bytes` is the memory that its tensors need.
    """

    method: str
    inputs: tuple[ProgramTensor, ...]
    outputs: tuple[ProgramTensor, ...]
    calls: tuple[str, ...]
    delegates: tuple[Delegate, ...]
    planned_bytes: int


def is_program(data: bytes) -> bool:
    """True for the first bytes of an ExecuTorch program of any version."""
    return data[4:6] == IDENTIFIER[:2] and data[6:8].isdigit()


def read_program(data: bytes, name: str = "the program") -> Program:
    """Reads a program, which errors call `name`.  Raises `BadInputError` for anything else, and for a damaged one."""
    if not is_program(data):
        raise BadInputError(f"{name} is no ExecuTorch program", hint="give a .pte file")
    if data[4:8] != IDENTIFIER:
        version = data[4:8].decode()
        raise BadInputError(f"{name} is an ExecuTorch program of the format {version}, not {IDENTIFIER.decode()}")
    try:
        return _program(data)
    except StreamError as error:
        raise BadInputError(f"{name} is a damaged .pte file: {error.args[0].removeprefix(DAMAGED)}") from error


def _program(data: bytes) -> Program:
    root = root_table(data, IDENTIFIER)
    plan = _item(root.tables(1), 0, "method")
    values = plan.tables(2)
    delegates = tuple(_delegate(data, root, table) for table in plan.tables(7))
    return Program(
        plan.string(0),
        tuple(_tensor(values, index) for index in plan.numbers(3, "<i")),
        tuple(_tensor(values, index) for index in plan.numbers(4, "<i")),
        tuple(_calls(plan, delegates)),
        delegates,
        sum(plan.numbers(8, "<q")),
    )


def _tensor(values: Sequence[Table], index: int) -> ProgramTensor:
    value = _item(values, index, "value")
    table = value.table(1)
    if value.scalar(0, "<B") != _TENSOR or table is None:
        raise StreamError(f"value {index}, an input or output of the method, is no tensor")
    shape, dim_order = table.numbers(2, "<i"), table.numbers(3, "<B")
    number = table.scalar(0, "<b")
    if number not in DTYPES:
        raise StreamError(f"a tensor of the scalar type {number}, which NumPy does not have")
    if len(shape) > _LARGEST_RANK or min(shape, default=0) < 0:
        raise StreamError(f"{DAMAGED}a tensor of {len(shape)} dimensions, the smallest {min(shape, default=0)}")
    if sorted(dim_order) != list(range(len(shape))):
        order = list(dim_order) if len(dim_order) <= _LARGEST_RANK else f"of {len(dim_order)}"
        raise StreamError(f"{DAMAGED}a tensor of {len(shape)} dimensions with the order {order}")
    return ProgramTensor(shape, DTYPES[number], dim_order, table.scalar(8, "<b") != 0)


def _calls(plan: Table, delegates: Sequence[Delegate]) -> list[str]:
    kernels = [".".join(filter(None, (table.string(0), table.string(1)))) for table in plan.tables(6)]
    calls = []
    for chain in plan.tables(5):
        for instruction in chain.tables(2):
            kind, call = instruction.scalar(0, "<B"), instruction.table(1)
            if call is not None and kind == _KERNEL_CALL:
                calls.append(_item(kernels, call.scalar(0, "<i"), "kernel"))
            elif call is not None and kind == _DELEGATE_CALL:
                calls.append(_item(delegates, call.scalar(0, "<i"), "delegate").name)
    return calls


def _delegate(data: bytes, root: Table, table: Table) -> Delegate:
    place = table.table(1)
    if place is None:
        raise StreamError(f"{DAMAGED}a delegate has no data")
    if not (name := table.string(0)).isidentifier():
        raise StreamError(f"{DAMAGED}a delegate's name of {len(name)} characters is no name")
    index = place.scalar(1, "<I")
    if not place.scalar(0, "<b"):
        return Delegate(name, _item(root.tables(3), index, "delegate's data").view(0).tobytes())
    segment = _item(root.tables(4), index, "segment")
    start, size = _segments_start(data) + segment.scalar(0, "<Q"), segment.scalar(1, "<Q")
    if start + size > len(data):
        raise StreamError(f"{DAMAGED}segment {index} ends at byte {start + size} of {len(data)}")
    return Delegate(name, data[start : start + size])


def _segments_start(data: bytes) -> int:
    if len(data) < 8 + _HEADER.size:
        raise StreamError(f"{DAMAGED}it has {len(data)} bytes")
    mark, _, _, start = _HEADER.unpack_from(data, 8)
    if mark[:2] != b"eh":
        raise StreamError(f"{DAMAGED}it has segments and no extended header")
    return int(start)


def _item(items: Sequence[_T], index: int, what: str) -> _T:
    if not 0 <= index < len(items):
        raise StreamError(f"{DAMAGED}{what} {index} of {len(items)}")
    return items[index]
