"""Reading flatbuffers from untrusted bytes: every offset is checked before it is followed.

    model = root_table(data, b"TFL3")
    version = model.scalar(0, "<I", default=0)
    for subgraph in model.tables(2): ...

A *table* points back to its *vtable*, which says for each field number where in the table it lies (0: absent, the
default holds).  Strings, vectors and tables are reached by offsets relative to where the offset stands.  What is out of
bounds raises `StreamError`.

Offsets may lead to one place again and again, so that a small file can describe more tables than memory holds: a
vector of a thousand graphs, all the same one, with a thousand operators, all the same one.  So what is read is counted,
and a file of which more is read than `BUDGET` times its size is damaged.

Source: FlatBuffers' documentation of its binary format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Bytes
from hil.core.errors import StreamError

BUDGET = 4
"""Bytes that may be read, for each of the file; TFLite files need 1.3."""

DAMAGED = "the file is damaged: "
"""Beginning of the errors of a file that breaks the format."""

_FREE = 1 << 16
_TABLE, _VECTOR = 32, 8


class ReadBudget:
    """Bytes that may still be read of a file."""

    def __init__(self, size: int) -> None:
        self._left = BUDGET * size + _FREE

    def spend(self, size: int) -> None:
        """Counts `size` bytes; raises `StreamError` when there are too many."""
        self._left -= size
        if self._left < 0:
            raise StreamError(f"{DAMAGED}its parts lead to each other too often")


def root_table(data: bytes, identifier: bytes) -> Table:
    """The root table of a flatbuffer with the 4-byte file `identifier`."""
    if data[4:8] != identifier:
        raise StreamError(f"the file does not have the identifier {identifier.decode()}")
    return Table(data, _follow(data, 0), ReadBudget(len(data)))


def _unpack(data: bytes, code: str, position: int) -> int:
    try:
        value: int = struct.unpack_from(code, data, position if position >= 0 else len(data))[0]
    except struct.error as error:
        raise StreamError(f"{DAMAGED}it points to byte {position} of {len(data)}") from error
    return value


def _follow(data: bytes, position: int) -> int:
    return position + _unpack(data, "<I", position)


@dataclass(frozen=True)
class Table:
    """A table of the buffer `data` at byte `position`; all tables of a file share its `budget`."""

    data: bytes
    position: int
    budget: ReadBudget

    def _field(self, number: int) -> int | None:
        """Offset of field `number`, None if it is absent."""
        vtable = self.position - _unpack(self.data, "<i", self.position)
        size = _unpack(self.data, "<H", vtable)
        entry = 4 + 2 * number
        if entry + 2 > size:
            return None
        offset = _unpack(self.data, "<H", vtable + entry)
        return self.position + offset if offset else None

    def scalar(self, number: int, code: str, default: int = 0) -> int:
        """A number of `struct` format `code`; a float for "<f"."""
        field = self._field(number)
        return default if field is None else _unpack(self.data, code, field)

    def table(self, number: int) -> Table | None:
        """A field that is a table."""
        field = self._field(number)
        if field is None:
            return None
        self.budget.spend(_TABLE)
        return Table(self.data, _follow(self.data, field), self.budget)

    def tables(self, number: int) -> list[Table]:
        """A field that is a vector of tables."""
        start, length = self._vector(number, 4)
        self.budget.spend(_TABLE * length)
        return [Table(self.data, _follow(self.data, start + 4 * i), self.budget) for i in range(length)]

    def view(self, number: int) -> Bytes:
        """A field that is a vector of bytes, as a view of the buffer; empty if absent.

        It costs nothing: models share constants.
        """
        start, length = self._vector(number, 1)
        self.budget.spend(_VECTOR)
        return np.frombuffer(self.data, np.uint8, length, start)

    def numbers(self, number: int, code: str) -> tuple[Any, ...]:
        """A field that is a vector of numbers of `struct` format `code`, as Python's; empty if absent."""
        size = struct.calcsize(code)
        start, length = self._vector(number, size)
        self.budget.spend(_VECTOR + length * size)
        return struct.unpack_from(f"<{length}{code[1:]}", self.data, start)

    def span(self, number: int) -> tuple[int, int]:
        """The first byte in the buffer, and the length, of a field that is a string or a vector of bytes."""
        return self._vector(number, 1)

    def string(self, number: int) -> str:
        """A field that is a string; empty if absent.  Raises `StreamError` for what is not UTF-8."""
        start, length = self._vector(number, 1)
        self.budget.spend(_VECTOR + length)
        try:
            return self.data[start : start + length].decode()
        except UnicodeDecodeError as error:
            raise StreamError(f"{DAMAGED}a string is not UTF-8") from error

    def _vector(self, number: int, item_size: int) -> tuple[int, int]:
        field = self._field(number)
        if field is None:
            return 0, 0
        vector = _follow(self.data, field)
        length = _unpack(self.data, "<I", vector)
        if vector + 4 + length * item_size > len(self.data):
            raise StreamError(f"{DAMAGED}a vector of {length} items does not fit")
        return vector + 4, length
