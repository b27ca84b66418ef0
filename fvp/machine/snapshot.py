"""Snapshots of a stopped machine's state.

    snapshot = Snapshot(monitor, image, memory, ddr)
    snapshot.take()         # at any moment when the CPU stands still
    snapshot.restore()      # as often as wanted; the CPU stands where it stood
    content = snapshot.content()                # for the snapshot of another QEMU, of the same build and arguments
    snapshot.adopt(content); snapshot.restore()

QEMU saves the CPU, its devices and its SRAMs in a disk image that is an anonymous file.  DDR is this process's as much
as QEMU's, so QEMU leaves it alone (`x-ignore-shared`), and only its pages in use are copied here, a few hundred KiB of
2 GiB.  Restoring resets the whole machine first and drops all translated code.

Source: QEMU's manual, "VM snapshots" and "QMP Reference Manual" (blockdev-create).
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from typing import NamedTuple

from hil.fvp.machine.qmp import Command, QmpClient

_IMAGE, _FILE, _JOB, _NAME = "kept", "kept-file", "image", "state"
_IN_MEMORY = {"no-flush": True}
"""The image is an anonymous file: QEMU, which flushes its disks at every stop of the CPU, need not."""

_IMAGE_BYTES = 1 << 20
"""Size of the disk that the image pretends to be; the state lies beside it."""


class SnapshotContent(NamedTuple):
    """A saved state: the disk image that QEMU wrote, and the used pieces of DDR by their offset."""

    image: bytes
    ddr: tuple[tuple[int, bytes], ...]


class Snapshot:
    """One state of a QEMU.

    `qmp` is its control connection, `image` the descriptor of an empty file, open here too, that QEMU inherits under
    the same number, `memory` that of DDR's file, and `ddr` its bytes.
    """

    def __init__(self, qmp: QmpClient, image: int, memory: int, ddr: mmap.mmap) -> None:
        self._qmp = qmp
        self._image = image
        self._memory = memory
        self._ddr = ddr
        self._pages: tuple[tuple[int, bytes], ...] | None = None

    def take(self) -> None:
        """Saves the machine's state, in place of an earlier one; raises `FaultError` if QEMU cannot."""
        if self._pages is None:
            self._make_image()
        self._qmp.command(f"savevm {_NAME}")
        self._pages = tuple((start, self._ddr[start:end]) for start, end in self._used())

    def content(self) -> SnapshotContent:
        """The state that was just taken."""
        assert self._pages is not None
        return SnapshotContent(os.pread(self._image, os.fstat(self._image).st_size, 0), self._pages)

    def adopt(self, content: SnapshotContent) -> None:
        """Makes `content` the saved state of a QEMU that has none; raises `FaultError` if it cannot be read."""
        os.pwrite(self._image, content.image, 0)
        self._qmp.ask_all(self._file(), *self._image_of_file())
        self._pages = content.ddr

    def restore(self) -> None:
        """Restores the saved state; raises `FaultError` if QEMU cannot."""
        assert self._pages is not None
        self._qmp.command(f"loadvm {_NAME}")
        kept = {start: start + len(data) for start, data in self._pages}
        for start, end in self._used():  # `loadvm` has written the firmware's image once more.
            if kept.get(start) != end:
                self._ddr[start:end] = bytes(end - start)
        for start, data in self._pages:
            self._ddr[start : start + len(data)] = data

    def _make_image(self) -> None:
        options = {"driver": "qcow2", "file": _FILE, "size": _IMAGE_BYTES}
        self._qmp.ask_all(self._file(), Command("blockdev-create", {"job_id": _JOB, "options": options}))
        self._qmp.wait_for("JOB_STATUS_CHANGE", id=_JOB, status="concluded")
        self._qmp.ask_all(Command("job-dismiss", {"id": _JOB}), *self._image_of_file())

    def _file(self) -> Command:
        where = {"driver": "file", "filename": f"/dev/fd/{self._image}", "node_name": _FILE}
        return Command("blockdev-add", {**where, "cache": _IN_MEMORY})

    @staticmethod
    def _image_of_file() -> tuple[Command, ...]:
        image = {"driver": "qcow2", "file": _FILE, "node_name": _IMAGE, "cache": _IN_MEMORY}
        leaves_ddr = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}
        return Command("blockdev-add", image), Command("migrate-set-capabilities", leaves_ddr)

    def _used(self) -> Iterator[tuple[int, int]]:
        """Start and end of the pieces of DDR that anything was ever written to."""
        end = 0
        while True:
            try:
                start = os.lseek(self._memory, end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            end = os.lseek(self._memory, start, os.SEEK_HOLE)
            yield start, end
