"""Limits of the machine behind a failure: a full disk, a read-only folder, no memory, too many open files.

    if found := machine_error(error, "fashion_cnn: base", folder):
        raise found from error

An exception names such a limit by its `errno`, or, where native code raised it, by the system's words in its text.
Some libraries hide it: then a folder that takes no more bytes shows it.  An array larger than this machine's whole
memory is no limit of the machine but a mistake.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hil.core.errors import HilError, InfrastructureError, NoMemoryError, UnavailableError

_HINTS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room below the quota",
    errno.EROFS: "name a folder that can be written",
    errno.EMFILE: "`ulimit -n 4096` allows more",
    errno.ENFILE: "the whole system has no more",
    errno.EFBIG: "`ulimit -f` limits the size of a file",
    errno.EIO: "the disk fails: see the system's log",
}
_MEMORY_HINT = "end other programs, or allow more with `ulimit -v` and `ulimit -u`"
_MEMORY_WORDS = (
    *("bad_alloc", "Cannot allocate memory", "Unable to allocate", "failed to map segment", "Insufficient memory"),
    *("can't start new thread", "pthread_create failed", "pthread_create() failed", "Resource temporarily unavailable"),
    *("Failed to allocate", "MemoryError"),
)
"""Texts by which native code and Python say that there is no memory, also for the stack of a thread."""
_NO_FOLDER = "No usable temporary directory"
"""The words by which Python's `tempfile` says that it found none."""
_PROBE_BYTES = 1 << 16


def machine_error(error: BaseException, title: str = "", folder: Path | None = None) -> InfrastructureError | None:
    """Returns the error of infrastructure behind an exception; None if no limit of the machine is behind it.

    `title` names the work that failed, `folder` is where it was writing.
    """
    if isinstance(error, InfrastructureError) and not isinstance(error, UnavailableError):
        return error
    for cause in _causes(error):
        if isinstance(cause, NoMemoryError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _HINTS:
            return _file_error(cause.errno, str(cause.filename or folder or ""), title)
        if isinstance(cause, FileNotFoundError) and (found := _temporary_folder_error(cause, title)):
            return found
        if isinstance(cause, HilError):  # its text quotes its cause
            continue
        if _is_absurd(cause):
            return None
        exhausted = isinstance(cause, MemoryError) or type(cause).__name__ == "ResourceExhaustedError"
        if found := limit_in_text(str(cause), title, folder, exhausted=exhausted):
            return found
    if isinstance(error, UnavailableError):
        return error
    return full_folder_error(folder, title) if folder is not None else None


def limit_in_text(
    text: str, title: str = "", folder: Path | None = None, *, exhausted: bool = False
) -> InfrastructureError | None:
    """Returns the error of infrastructure that the text of native code names; None if it names none.

    `exhausted`: without other words, the text is about memory.
    """
    number = next((number for number in _HINTS if os.strerror(number) in text), None)
    if number is not None:
        return _file_error(number, str(folder or ""), title)
    lines = [line.strip() for line in text.splitlines() if any(word in line for word in _MEMORY_WORDS)]
    if lines or exhausted:
        detail = (lines or text.strip().splitlines() or [""])[-1][:200]
        return NoMemoryError(": ".join(filter(None, (title, "no more memory", detail))), hint=_MEMORY_HINT)
    return None


def require_address_space(least: int, what: str) -> None:
    """Raises `NoMemoryError` if this process may map less than `least` bytes, where native code would hang."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < least:
        line = f"{what} needs {least / 2**30:g} GiB of address space, the limit is {limit / 2**30:.2g}"
        raise NoMemoryError(line, hint=_MEMORY_HINT)


def full_folder_error(folder: Path, title: str = "") -> InfrastructureError | None:
    """Returns the error of a folder that takes no more bytes; None if it takes some."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        return _file_error(error.errno, str(folder), title) if error.errno in _HINTS else None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None


def _file_error(number: int, file: str, title: str) -> InfrastructureError:
    return InfrastructureError(": ".join(filter(None, (title, os.strerror(number), file))), hint=_HINTS[number])


def _temporary_folder_error(error: FileNotFoundError, title: str) -> InfrastructureError | None:
    """Returns the error of a temporary folder that does not exist any more, or of none that can be written."""
    line = str(error.strerror)
    if line.startswith(_NO_FOLDER):
        if found := full_folder_error(Path(os.environ.get("TMPDIR", "/tmp")), title):  # Python's search hides why
            return found
    elif (folder := _temporary_folder()) is None or folder.is_dir():
        return None
    else:
        line = f"the temporary folder {folder} is gone"
    return InfrastructureError(": ".join(filter(None, (title, line))), hint="TMPDIR names another")


def _temporary_folder() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None


def _is_absurd(error: BaseException) -> bool:
    """Returns whether NumPy refused an array that no machine of this size could hold."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    if not isinstance(error, MemoryError) or shape is None or dtype is None:
        return False
    import psutil

    return bool(math.prod(shape) * dtype.itemsize > psutil.virtual_memory().total + psutil.swap_memory().total)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Iterates over an exception and those that it was raised from or while handling."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
