"""Headers of a 32-bit Arm ELF file: a check that it is whole, and its segments.

    check(Path("runner.axf"), "the application")
    for segment in segments(Path("runner.axf")): ...
    loaded_digest(Path("runner.axf"))           # without debug information, ten times as long as the rest

QEMU takes any other file, or one that was cut off, as raw code, and the CPU would run into the void.  The check runs
at every start of the executable, where the import of pyelftools would cost half as much as all others together.

Source: the ELF specification (32-bit file and program headers).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hil.core.errors import BadInputError

_HEADER, _SEGMENT = struct.Struct("<16s2H5I6H"), struct.Struct("<8I")
_START = b"\x7fELF\x01\x01"
"""An ELF file of 32 bits, little-endian."""

_ARM, _LOADED = 40, 1
"""Machine number of 32-bit Arm CPUs; type of a segment that goes into memory."""


class Segment(NamedTuple):
    """A segment that goes into memory: its virtual and physical address, and the bytes that the file holds of it."""

    virtual: int
    physical: int
    data: bytes


class _Stored(NamedTuple):
    """A loaded segment's place in the file (bytes) and its addresses."""

    offset: int
    size: int
    virtual: int
    physical: int


def is_elf(path: Path, what: str) -> bool:
    """True if `path` starts as a 32-bit Arm ELF file; raises `BadInputError`, which calls it `what`, if unreadable."""
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
            loaded = _loaded(file, start)
            end = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BadInputError(f"{what} {path} cannot be read: {error.strerror}") from None
    if not loaded or any(segment.offset + segment.size > end for segment in loaded):
        raise BadInputError(f"{what} {path} is not a whole ELF file: parts that its header names are missing")


def segments(path: Path) -> Iterator[Segment]:
    """The segments of a file that `check` found to be whole."""
    with path.open("rb") as file:
        for stored in _loaded(file, file.read(_HEADER.size)):
            file.seek(stored.offset)
            yield Segment(stored.virtual, stored.physical, file.read(stored.size))


def loaded_digest(path: Path) -> str:
    """The SHA-256 of a file's headers and of the segments that go into memory; raises `OSError`."""
    from hashlib import sha256  # Only those who keep states of the machine need it.

    with path.open("rb") as file:
        start = file.read(_HEADER.size)
        total = sha256(start + _table(file, start))
        for stored in _loaded(file, start):
            file.seek(stored.offset)
            total.update(file.read(stored.size))
    return total.hexdigest()


def _is_header(start: bytes) -> bool:
    return len(start) == _HEADER.size and start.startswith(_START) and _HEADER.unpack(start)[2] == _ARM


def _table(file: BinaryIO, start: bytes) -> bytes:
    """The program header table, as much of it as there is."""
    _, _, _, _, _, at, _, _, _, size, count, *_ = _HEADER.unpack(start)
    file.seek(at)
    return file.read(size * count)


def _loaded(file: BinaryIO, start: bytes) -> list[_Stored]:
    """The entries of the program header table that go into memory; none if the table is cut off."""
    *_, size, count, _, _, _ = _HEADER.unpack(start)
    table = _table(file, start)
    if size < _SEGMENT.size or len(table) != size * count:
        return []
    entries = [_SEGMENT.unpack_from(table, size * number) for number in range(count)]
    return [_Stored(entry[1], entry[4], entry[2], entry[3]) for entry in entries if entry[0] == _LOADED]
