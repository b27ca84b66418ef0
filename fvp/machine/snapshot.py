"""Snapshots of a stopped machine's state.

    snapshot = Snapshot(monitor, image, memory, ddr)
    snapshot.take()         # at any moment when the CPU stands still
    snapshot.restore()      # as often as wanted; the CPU stands where it stood

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

from hil.fvp.machine.qmp import QmpClient

_IMAGE, _FILE, _JOB, _NAME = "kept", "kept-file", "image", "state"
_IMAGE_BYTES = 1 << 20
"""Size of the disk that the image pretends to be; the state lies beside it."""


class Snapshot:
    """One state of a QEMU.

    `qmp` is its control connection, `image` the descriptor of an empty file that QEMU inherits under the
    same number, `memory` that of DDR's file, and `ddr` its bytes.
    """

    def __init__(self, qmp: QmpClient, image: int, memory: int, ddr: mmap.mmap) -> None:
        self._qmp = qmp
        self._image = image
        self._memory = memory
        self._ddr = ddr
        self._pages: list[tuple[int, bytes]] | None = None

    def take(self) -> None:
        """Saves the machine's state, in place of an earlier one; raises `FaultError` if QEMU cannot."""
        if self._pages is None:
            self._make_image()
        self._qmp.command(f"savevm {_NAME}")
        self._pages = [(start, self._ddr[start:end]) for start, end in self._used()]

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
        ask = self._qmp.ask
        ask("blockdev-add", driver="file", filename=f"/dev/fd/{self._image}", node_name=_FILE)
        ask("blockdev-create", job_id=_JOB, options={"driver": "qcow2", "file": _FILE, "size": _IMAGE_BYTES})
        self._qmp.wait_for("JOB_STATUS_CHANGE", id=_JOB, status="concluded")
        ask("job-dismiss", id=_JOB)
        ask("blockdev-add", driver="qcow2", file=_FILE, node_name=_IMAGE)
        ask("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

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
