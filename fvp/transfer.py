"""Files that go into the machine's memory before it starts, and what is saved of it at the end."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hil.fvp.contract import Data
from hil.fvp.errors import FvpError
from hil.npu.errors import BadInputError

_ELF32, _ARM = b"\x7fELF\x01", b"\x28\x00"
"""Start of an ELF file of 32 bits, and its machine number at byte 18."""


def application(path: Path | None) -> Path:
    """The ELF to run; raises `BadInputError` if it is none: QEMU itself would take anything else as raw code."""
    path = path or Path()
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except OSError as error:
        raise BadInputError(f"the application {path} cannot be read: {error.strerror}") from None
    if start[:5] != _ELF32 or start[18:20] != _ARM:
        raise BadInputError(f"the application {path} is no ELF file for a 32-bit Arm CPU")
    return path


def contents(data: Data) -> bytes:
    """What `data` puts into memory; raises `BadInputError` if it cannot be read."""
    try:
        return data.file.read_bytes()
    except OSError as error:
        raise BadInputError(f"--data: {data.file} cannot be read: {error.strerror}") from None


def save(file: Path, pieces: list[bytes]) -> None:
    """Writes `pieces`, one after the other, into `file`; what is only half written is removed.

    Raises `BadInputError` if it cannot be opened, `FvpError` if the disk is full or fails.
    """
    try:
        opened = file.open("wb")
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error.strerror}") from None
    try:
        with opened:
            opened.writelines(pieces)
    except OSError as error:
        if file.is_file() and not str(file).startswith("/dev/"):
            with contextlib.suppress(OSError):
                file.unlink()
        raise FvpError(f"{file} cannot be written: {error.strerror}", hint="is the disk full?") from None
