"""Files that go into the machine's memory before it starts, and what is saved of it at the end."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from hil.core.errors import BadInputError, FvpError
from hil.fvp.machine.memory import LARGEST_SRAM

if TYPE_CHECKING:
    from hil.fvp.machine.memory import GuestMemory

MOST_BYTES = 1 << 30
"""Bytes of a file that is read as a whole: half of what the board has; a pipe or a device may be without end."""


def contents(path: Path) -> bytes:
    """The bytes of a file; raises `BadInputError` if it cannot be read, or has more than any memory of the board."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise BadInputError(f"{path} has more than {MOST_BYTES} bytes, which no memory of the board takes")
    return data


def load(memory: GuestMemory, address: int, data: bytes) -> None:
    """Puts what the command line names into memory; raises `BadInputError` where there is no memory for it."""
    check(memory, "--data", address, len(data))
    memory.write(address, data)
    if not memory.is_mapped(address, len(data)) and memory.read(address, len(data)) != data:
        raise BadInputError(f"--data: there is no memory of {len(data)} bytes at {address:#010x}")


def check(memory: GuestMemory, option: str, address: int, size: int) -> None:
    """Raises `BadInputError` for more bytes than any memory has from `address` on."""
    if not memory.is_mapped(address, size) and (size > LARGEST_SRAM or address + size > 1 << 32):
        raise BadInputError(f"{option}: there is no memory of {size} bytes at {address:#010x}")


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
