"""The running input in a file, which survives a crash of native code.

current = Current(folder)
current.keep(data)
last_input(folder)          # in the parent, when the process has ended
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from tests.support.fuzzing.seeds import LONGEST

_NAME = "current"
_LENGTH = struct.Struct("<I")


class Current:
    """A memory-mapped file: saving an input costs a copy."""

    def __init__(self, folder: Path) -> None:
        with (folder / _NAME).open("w+b") as file:
            file.truncate(_LENGTH.size + LONGEST)
            self._bytes = mmap.mmap(file.fileno(), 0)

    def keep(self, data: bytes) -> None:
        """Saves `data`, the input that runs next."""
        self._bytes[: _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data


def last_input(folder: Path) -> bytes:
    """The input that ran last."""
    kept = (folder / _NAME).read_bytes()
    return kept[_LENGTH.size : _LENGTH.size + _LENGTH.unpack_from(kept)[0]]
