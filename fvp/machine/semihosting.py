"""Semihosting: the calls by which firmware asks the debugger's host for a console, files, or its own end.

    host = Semihosting(sys.stdout.buffer.write, told, Folder(Path("run")))
    host.serve("Fwrite,1,71000000,c", memory)       # -> "Fc": all 12 bytes were written

With `target=gdb` QEMU does none of it itself: it sends each call to its debugger, which is this program, as a File-I/O
packet `F<call>,<argument>,...`, and waits for `F<result>` or `F-1,<errno>`.  So nothing but what is here is served: the
console, and the files of one folder (`files`) if the user named one.  Without a packet QEMU lets firmware end itself,
and answers calls for the time, its heap and its command line.  Whatever else would reach a file or run a program is
refused, and the firmware sees an error like any other.

Source: "Debugging with GDB", appendix E.13 (File-I/O); Arm's "Semihosting for AArch32 and AArch64".
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from hil.core.errors import FaultError, FvpError, QemuEndedError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine.semihosting_files import Folder

_CONSOLE = (0, 1, 2)
_PIECE = 1 << 20
"""Bytes moved at a time."""

MAX_TRANSFER = 64 << 20
"""Bytes that one call moves; the rest is the firmware's to ask for again."""

MAX_WRITTEN = 1 << 30
"""Bytes that one run may write to files, so that no firmware fills the disk."""

MAX_FILES = 64
"""Files that may be open at a time."""

_MOST_TOLD = 100
"""Most refusals that are reported."""

_MAX_NAME, _BLOCK = 4096, 512
_NUMBERS = frozenset((1, 2, 4, 9, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30))
"""Error numbers that the protocol and Linux have in common."""

_LONG_NAME, _UNKNOWN = 91, 9999
_FLAGS = {0x8: os.O_APPEND, 0x200: os.O_CREAT, 0x400: os.O_TRUNC, 0x800: os.O_EXCL}
"""The protocol's flags of open, beside its two lowest bits, which are as everywhere."""


class CpuMemory(Protocol):
    """Memory as the CPU sees it."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` at `address`."""
        ...


class Semihosting:
    """Serves the calls of one firmware.

    `console` gets what the firmware prints, `refused` a line for each reason for which a call was refused, `folder` has
    the files that it may open (None: none).
    """

    def __init__(
        self, console: Callable[[bytes], object], refused: Callable[[str], None], folder: Folder | None = None
    ) -> None:
        self._print = console
        self._tell = refused
        self._told: set[str] = set()
        self._folder = folder
        self._files: dict[int, int] = {}
        self._stored = 0

    def close(self) -> None:
        """Closes what the firmware left open."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def serve(self, packet: str, memory: CpuMemory) -> str:
        """The answer to `packet`."""
        call, *arguments = packet.removeprefix("F").split(",")
        try:
            result = self._serve(memory, call, *(_argument(argument, memory) for argument in arguments))
        except OSError as error:
            return f"F-1,{_error(error):x}"
        except QemuEndedError:
            raise
        except FaultError:  # An address of the firmware's without memory.
            return f"F-1,{errno.EFAULT:x}"
        return f"F{result:x}"

    def _serve(self, memory: CpuMemory, *call: int | str) -> int:
        match call:
            case "open", str(name), int(flags), int():
                return self._open(name, flags)
            case "close", int(handle):
                return self._close(handle)
            case "read", int(handle), int(address), int(size):
                return self._read(memory, handle, address, min(size, MAX_TRANSFER))
            case "write", int(handle), int(address), int(size):
                return self._write(memory, handle, address, min(size, MAX_TRANSFER))
            case "lseek", int(handle), int(offset), int(whence):
                return os.lseek(self._file(handle), offset, whence)
            case "fstat", int(handle), int(address):
                status = os.fstat(self._file(handle))
                memory.write(address, _status(status))
                return status.st_size  # Not 0: QEMU 7.2 takes this for the size, and fails if the record differs.
            case "isatty", int(handle):
                return int(handle in _CONSOLE)
            case "unlink", str(name):
                self._allowed(name).remove(name)
                return 0
            case "rename", str(name), str(new):
                self._allowed(name).rename(name, new)
                return 0
        self._refused(f"semihosting call {call[0]!r} is refused: nothing but console and files is served")
        raise _failure(errno.EACCES)

    def _open(self, name: str, flags: int) -> int:
        folder = self._allowed(name)
        if len(self._files) == MAX_FILES:
            raise _failure(errno.EMFILE)
        translated = flags & 3 | sum(host for flag, host in _FLAGS.items() if flags & flag)
        try:
            descriptor = folder.open(name, translated)
        except OSError as error:
            if _error(error) == errno.EACCES:
                self._refused(f"semihosting may not open {name!r}: it is no file of cpu0.semihosting-cwd")
            raise
        handle = next(number for number in itertools.count(len(_CONSOLE)) if number not in self._files)
        self._files[handle] = descriptor
        return handle

    def _close(self, handle: int) -> int:
        if handle not in _CONSOLE:
            os.close(self._file(handle))
            del self._files[handle]
        return 0

    def _read(self, memory: CpuMemory, handle: int, address: int, size: int) -> int:
        if handle == 0:
            return 0  # Nobody types: the end of the input.
        file, done = self._file(handle), 0
        while done < size and (data := os.read(file, min(_PIECE, size - done))):
            memory.write(address + done, data)
            done += len(data)
        return done

    def _write(self, memory: CpuMemory, handle: int, address: int, size: int) -> int:
        done = 0
        while done < size:
            data = memory.read(address + done, min(_PIECE, size - done))
            if handle in (1, 2):
                self._print(data)
                count = len(data)
            else:
                count = self._store(self._file(handle), data)
            done += count
            if count < len(data):
                break
        return done

    def _store(self, file: int, data: bytes) -> int:
        if self._stored + len(data) > MAX_WRITTEN:
            raise _failure(errno.ENOSPC)
        count = os.write(file, data)
        self._stored += count
        return count

    def _allowed(self, name: str) -> Folder:
        if self._folder is None:
            self._refused(f"semihosting may not have {name!r}: name a folder of files with cpu0.semihosting-cwd")
            raise _failure(errno.EACCES)
        return self._folder

    def _refused(self, reason: str) -> None:
        """Reports each reason once: firmware may try for ever."""
        if reason not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(reason)
            self._tell(reason)

    def _file(self, handle: int) -> int:
        if handle not in self._files:
            raise _failure(errno.EBADF)
        return self._files[handle]


@contextlib.contextmanager
def serving(line: CommandLine) -> Iterator[Semihosting]:
    """Semihosting as `line` asks, its console on standard output; raises `BadInputError` for a `cwd` that is none."""
    cwd = line.text("cpu0.semihosting-cwd")
    with contextlib.ExitStack() as stack:
        host = Semihosting(_print, _warn, stack.enter_context(Folder(Path(cwd))) if cwd else None)
        stack.callback(host.close)
        yield host


def _print(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FvpError(f"standard output cannot be written: {error.strerror}", hint="is the disk full?") from None


def _warn(reason: str) -> None:
    print(f"Warning: {reason}", file=sys.stderr)


def _status(found: os.stat_result) -> bytes:
    """The protocol's record of a file, big-endian."""
    device = inode = owner = group = special = 0
    blocks = (found.st_size + _BLOCK - 1) // _BLOCK
    times = (0, 0, 0)
    return struct.pack(
        ">7I3Q3I", device, inode, found.st_mode, 1, owner, group, special, found.st_size, _BLOCK, blocks, *times
    )


def _argument(text: str, memory: CpuMemory) -> int | str:
    """A number, or the name at `address/length`."""
    try:
        address, *lengths = (int(part, 16) for part in text.split("/"))
    except ValueError:
        raise _failure(errno.EINVAL) from None
    if not lengths:
        return address
    length = lengths[0]
    if length > _MAX_NAME:
        raise _failure(errno.ENAMETOOLONG)
    return os.fsdecode(memory.read(address, length).removesuffix(b"\0"))


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _error(error: OSError) -> int:
    """The protocol's number of an error; a symbolic link is denied like anything outside."""
    number = {errno.ELOOP: errno.EACCES, errno.ENAMETOOLONG: _LONG_NAME}.get(error.errno or 0, error.errno)
    return number if number in _NUMBERS or number == _LONG_NAME else _UNKNOWN
