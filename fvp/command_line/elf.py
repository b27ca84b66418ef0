"""Whether a file is a program for this machine's CPU, by its headers alone.

    check(Path("runner.axf"), "the application")

QEMU itself would take anything else as raw code, a file that was cut off as well, and the CPU would run into the void.

Source: the ELF specification (32-bit file and program headers).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from hil.core.errors import BadInputError

_HEADER, _SEGMENT = struct.Struct("<16s2H5I6H"), struct.Struct("<8I")
_START = b"\x7fELF\x01\x01"
"""An ELF file of 32 bits, little-endian."""

_ARM, _LOADED = 40, 1
"""Machine number of 32-bit Arm CPUs; type of a segment that goes into memory."""


def is_elf(path: Path, what: str) -> bool:
    """Whether `path` starts as a 32-bit Arm ELF file does; raises `BadInputError`, with `what` it is, if unreadable."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER.size)
    except OSError as error:
        raise BadInputError(f"{what} {path} cannot be read: {error.strerror}") from None
    return _is_header(start)


def check(path: Path, what: str) -> None:
    """Raises `BadInputError`, which calls the file `what`, if it cannot be read, is no such ELF file, or not whole."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER.size)
            if not _is_header(start):
                raise BadInputError(f"{what} {path} is no ELF file for a 32-bit Arm CPU")
            _, _, _, _, _, at, _, _, _, size, count, *_ = _HEADER.unpack(start)
            end = os.fstat(file.fileno()).st_size
            file.seek(at)
            table = file.read(size * count)
    except OSError as error:
        raise BadInputError(f"{what} {path} cannot be read: {error.strerror}") from None
    whole = size >= _SEGMENT.size and len(table) == size * count
    segments = [_SEGMENT.unpack_from(table, size * number) for number in range(count)] if whole else []
    loaded = [segment for segment in segments if segment[0] == _LOADED]
    if not loaded or any(offset + stored > end for _, offset, _, _, stored, *_ in loaded):
        raise BadInputError(f"{what} {path} is not a whole ELF file: parts that its header names are missing")


def _is_header(start: bytes) -> bool:
    return len(start) == _HEADER.size and start.startswith(_START) and _HEADER.unpack(start)[2] == _ARM
