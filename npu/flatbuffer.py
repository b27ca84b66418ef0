"""Reading flatbuffers from untrusted bytes: every offset is checked before it is followed.

    model = root_table(data, b"TFL3")
    version = model.scalar(0, "<I", default=0)
    for subgraph in model.tables(2): ...

A *table* points back to its *vtable*, which says for each field number where in the table it lies (0: absent, the
default holds).  Strings, vectors and tables are reached by offsets relative to where the offset stands.  What is out of
bounds raises `StreamError`.

Source: FlatBuffers' documentation of its binary format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu.errors import StreamError


def root_table(data: bytes, identifier: bytes) -> Table:
    """The root table of a flatbuffer with the 4-byte file `identifier`."""
    if data[4:8] != identifier:
        raise StreamError(f"the file does not have the identifier {identifier.decode()}")
    return Table(data, _follow(data, 0))


def _unpack(data: bytes, code: str, position: int) -> int:
    if position < 0 or position + struct.calcsize(code) > len(data):
        raise StreamError(f"the file is damaged: it points to byte {position} of {len(data)}")
    value: int = struct.unpack_from(code, data, position)[0]
    return value


def _follow(data: bytes, position: int) -> int:
    return position + _unpack(data, "<I", position)


@dataclass(frozen=True)
class Table:
    """A table of the buffer `data` at byte `position`."""

    data: bytes
    position: int

    def _field(self, number: int) -> int | None:
        """Where field `number` lies, None if it is absent."""
        vtable = self.position - _unpack(self.data, "<i", self.position)
        size = _unpack(self.data, "<H", vtable)
        entry = 4 + 2 * number
        if entry + 2 > size:
            return None
        offset = _unpack(self.data, "<H", vtable + entry)
        return self.position + offset if offset else None

    def scalar(self, number: int, code: str, default: int = 0) -> int:
        """An integer field of `struct` format `code`."""
        field = self._field(number)
        return default if field is None else _unpack(self.data, code, field)

    def table(self, number: int) -> Table | None:
        """A field that is a table."""
        field = self._field(number)
        return None if field is None else Table(self.data, _follow(self.data, field))

    def tables(self, number: int) -> list[Table]:
        """A field that is a vector of tables."""
        start, length = self._vector(number, 4)
        return [Table(self.data, _follow(self.data, start + 4 * i)) for i in range(length)]

    def array(self, number: int, dtype: str) -> NDArray[Any]:
        """A field that is a vector of numbers; empty if absent.  The array is a view of the buffer."""
        item = np.dtype(dtype)
        start, length = self._vector(number, item.itemsize)
        return np.frombuffer(self.data, item, length, start)

    def string(self, number: int) -> str:
        """A field that is a string; empty if absent."""
        return self.array(number, "u1").tobytes().decode("utf-8", "replace")

    def _vector(self, number: int, item_size: int) -> tuple[int, int]:
        field = self._field(number)
        if field is None:
            return 0, 0
        vector = _follow(self.data, field)
        length = _unpack(self.data, "<I", vector)
        if vector + 4 + length * item_size > len(self.data):
            raise StreamError(f"the file is damaged: a vector of {length} items does not fit")
        return vector + 4, length
