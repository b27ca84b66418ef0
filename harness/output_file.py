"""Output files of commands: checked before any work, and written whole or not at all.

check_output(path, "--outputs", (".npz",))     # BadInputError: a folder, no such folder, not writable, another suffix
check_output(path, "-o", inputs=[model])       # or a file that the command reads
write_output(path, content)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hil.core.errors import BadInputError, InfrastructureError

_DATABASE = b"SQLite format 3\0"


def check_output(path: Path, option: str, formats: Sequence[str] = (), inputs: Sequence[Path | None] = ()) -> None:
    """Raises `BadInputError` for a path that cannot be written as a file; `option` is what the user gave it to.

    `formats` are the suffixes that it may have, in small letters; "" allows none, and no formats allow any.  `inputs`
    are files that the command reads: it overwrites none of them, and no database.
    """
    try:
        if path.is_dir():
            raise BadInputError(f"{option} {path} is a folder")
        if formats and path.suffix.lower() not in formats:
            fault = f"{path.suffix} is no known format" if path.suffix else "a suffix must name the format"
            raise BadInputError(f"{option} {path}: {fault}", hint=f"known are {', '.join(filter(None, formats))}")
        if not path.parent.is_dir():
            raise BadInputError(f"{option} {path}: there is no folder {path.parent}")
        if path.is_file() and (kept := _kept(path, inputs)):
            raise BadInputError(f"{option} {path} is {kept}", hint="name another file")
        if path.is_file():
            with path.open("ab"):
                pass
        elif not path.exists():  # else a device or a pipe, which shows when it is written
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        raise BadInputError(f"{option} {path} cannot be written: {error.strerror}") from error


def _kept(path: Path, inputs: Sequence[Path | None]) -> str:
    """Says why an existing file is not overwritten; empty for one that may be."""
    if any(source is not None and source.exists() and path.samefile(source) for source in inputs):
        return "an input of this command"
    with path.open("rb") as file:
        return "a database" if file.read(len(_DATABASE)) == _DATABASE else ""


def write_output(path: Path, content: bytes) -> None:
    """Writes a file by way of a temporary one beside it; raises `InfrastructureError` if that fails."""
    try:
        resolved = path.resolve()  # no name that can be opened, for a pipe behind /dev/stdout
        if path.exists() and not (path.is_file() and os.access(resolved.parent, os.W_OK)):
            path.write_bytes(content)
        else:
            _replace(resolved, content)
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, beside = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(beside).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(beside).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(beside).unlink()


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    os.umask(mask := os.umask(0o077))
    return mask
