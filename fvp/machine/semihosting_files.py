"""A folder whose files a firmware may have, and nothing outside it.

    with Folder(Path("run")) as folder:
        descriptor = folder.open("sub/input.bin", os.O_RDONLY)

Each part of a name is opened from the folder before it, and none may be a symbolic link, so no name leads outside,
whatever changes meanwhile.  `..` is taken off the name beforehand and may not climb above the folder.  Only regular
files are opened: a pipe or a device could keep the simulator waiting.

An absolute name is taken if it lies in the folder; `/tmp/qemu-...`, the names that QEMU gives to a firmware that asks
for temporary ones, are files of the folder too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from hil.core.errors import BadInputError

_TEMPORARY = re.compile(r"/tmp/(qemu-[0-9a-f]+)")
_HARMLESS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """The folder at `path`; raises `BadInputError` if there is none."""

    def __init__(self, path: Path) -> None:
        self._root = path.absolute()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInputError(f"cpu0.semihosting-cwd: {path} is no folder to open: {error.strerror}") from None

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def open(self, name: str, flags: int) -> int:
        """A descriptor of the regular file `name`; raises `OSError`, EACCES for what is not to be had."""
        with self._parent(name) as (parent, last):
            descriptor = os.open(last, flags | _HARMLESS, 0o644, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _denied()
        return descriptor

    def remove(self, name: str) -> None:
        """Removes a file; raises `OSError`."""
        with self._parent(name) as (parent, last):
            os.unlink(last, dir_fd=parent)

    def rename(self, old: str, new: str) -> None:
        """Renames a regular file, over another if there is one; raises `OSError`."""
        with self._parent(old) as (source, before), self._parent(new) as (target, after):
            if not stat.S_ISREG(os.stat(before, dir_fd=source, follow_symlinks=False).st_mode):
                raise _denied()
            os.rename(before, after, src_dir_fd=source, dst_dir_fd=target)

    @contextlib.contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """(the folder that holds the file, the file's name in it)."""
        *folders, last = self._parts(name)
        with contextlib.ExitStack() as stack:
            descriptor = self._descriptor
            for folder in folders:
                descriptor = os.open(folder, _STEP, dir_fd=descriptor)
                stack.callback(os.close, descriptor)
            yield descriptor, last

    def _parts(self, name: str) -> list[str]:
        if temporary := _TEMPORARY.fullmatch(name):
            return [temporary[1]]
        if name.startswith("/"):
            root = f"{self._root}/".replace("//", "/")
            if not name.startswith(root):
                raise _denied()
            name = name[len(root) :]
        parts: list[str] = []
        for part in name.split("/"):
            if part == "..":
                if not parts:
                    raise _denied()
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        if not parts or "\0" in name:
            raise _denied()
        return parts


def _denied() -> OSError:
    return OSError(errno.EACCES, os.strerror(errno.EACCES))
