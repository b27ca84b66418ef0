"""A connection to QEMU, which is waited for as long as it makes progress and not by the clock on the wall.

connection = QemuSocket(sock, pid, patience_s=30)
connection.send(b"..."); connection.receive()
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hil.core.errors import QemuEndedError, QemuHangsError

if TYPE_CHECKING:
    from hil.core.progress_watch import ProgressWatch

_LOOK_SECONDS = 1.0


class QemuSocket:
    """The connected socket `sock` to the QEMU of process `pid`.

    QEMU may compute for `patience_s` seconds of processor time, or wait for as long, before it answers or takes
    what is sent: then `QemuHangsError`.  `QemuEndedError` if nobody is there.
    """

    def __init__(self, sock: socket.socket, pid: int, patience_s: float) -> None:
        self.pid = pid
        self.patience_s = patience_s
        self._socket = sock
        self._socket.settimeout(_LOOK_SECONDS)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Sends all of `data`."""
        left, watch = memoryview(data), None
        while left:
            try:
                left = left[self._socket.send(left) :]
            except ConnectionError:
                raise QemuEndedError("QEMU ended") from None
            except TimeoutError:
                watch = self._judged(watch)

    def receive(self) -> bytes:
        """The next bytes."""
        watch = None
        while True:
            try:
                data = self._socket.recv(1 << 20)
            except ConnectionError:
                data = b""
            except TimeoutError:
                watch = self._judged(watch)
                continue
            if not data:
                raise QemuEndedError("QEMU ended")
            return data

    def _judged(self, watch: ProgressWatch | None) -> ProgressWatch:
        if watch is None:
            from hil.core.progress_watch import ProgressWatch

            watch = ProgressWatch(self.pid, self.patience_s, strict=True)
        if why := watch.why_hanging():
            raise QemuHangsError(f"QEMU gave no answer: it is {why}")
        return watch
