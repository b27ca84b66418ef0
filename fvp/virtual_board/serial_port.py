"""The outer end of a virtual board's UART: a pty, or a TCP port of loopback, where programs come and go.

    port = PtyPort()            # or TcpPort(5000); 0: any free port
    port.url                    # "/dev/pts/3", "socket://127.0.0.1:5000"
    port.receive()              # what came, without waiting
    port.send(b"...")

It is as a serial cable: whoever opens it hears the board from then on, and what nobody hears is lost.  A client that is
slower than the board loses the oldest of more than `BACKLOG` bytes.
"""

from __future__ import annotations

import contextlib
import os
import select
import tty
from typing import Protocol

from hil.core.errors import BadInputError
from hil.fvp.machine.loopback import BACKLOG, HOST, LoopbackPort

_PIECE = 1 << 12
_LOOK_SECONDS = 0.02
"""Interval of the search for a client of a pty: Linux reports that its other end was closed, but not its opening."""


class OuterPort(Protocol):
    """The board's side of the port; no method waits."""

    url: str

    @property
    def patience(self) -> float | None:
        """Seconds after which to look again for a client; None: a client makes one of `readers` ready."""
        ...

    def readers(self) -> list[int]:
        """Descriptors that can become readable."""
        ...

    def writers(self) -> list[int]:
        """Descriptors to which unsent bytes are to be written."""
        ...

    def receive(self) -> bytes:
        """Reads the bytes that have arrived."""
        ...

    def send(self, data: bytes) -> None:
        """Sends as much of `data`, after unsent bytes, as the client takes."""
        ...

    def close(self) -> None:
        """Closes the port; clients see the cable unplugged."""
        ...


class PtyPort:
    """A raw pty, whose other end `url` any program may open as a serial port."""

    def __init__(self) -> None:
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(self._ours, False)
        self.url = os.ttyname(theirs)
        os.close(theirs)
        self._poll = select.poll()
        self._poll.register(self._ours, 0)  # That nobody has opened the other end is told in any case.
        self._left = bytearray()

    @property
    def patience(self) -> float | None:
        return None if self._is_open() else _LOOK_SECONDS

    def readers(self) -> list[int]:
        return [self._ours] if self._is_open() else []

    def writers(self) -> list[int]:
        return [self._ours] if self._left and self._is_open() else []

    def receive(self) -> bytes:
        try:
            return os.read(self._ours, _PIECE)
        except BlockingIOError:
            return b""
        except OSError:  # The client has left.
            self._left.clear()
            return b""

    def send(self, data: bytes) -> None:
        if not self._is_open():
            self._left.clear()
            return
        self._left += data
        with contextlib.suppress(BlockingIOError):
            while self._left:
                del self._left[: os.write(self._ours, self._left)]
        del self._left[:-BACKLOG]

    def close(self) -> None:
        os.close(self._ours)

    def _is_open(self) -> bool:
        return not self._poll.poll(0)


class TcpPort:
    """A TCP port of loopback, `number` or any free one (0), with one client at a time, raw."""

    def __init__(self, number: int = 0) -> None:
        try:
            self._loopback = LoopbackPort(number)
        except (OSError, OverflowError) as error:
            raise BadInputError(f"TCP port {number} cannot be had: {error}", hint="0 takes any free one") from None
        self.url = f"socket://{HOST}:{self._loopback.number}"

    @property
    def patience(self) -> float | None:
        return None

    def readers(self) -> list[int]:
        return [self._loopback.fileno()]

    def writers(self) -> list[int]:
        return [self._loopback.fileno()] if self._loopback.unsent else []

    def receive(self) -> bytes:
        self._loopback.accept()
        return self._loopback.receive(_PIECE)

    def send(self, data: bytes) -> None:
        if self._loopback.has_client:
            self._loopback.unsent += data
            self._loopback.flush()
            del self._loopback.unsent[:-BACKLOG]

    def close(self) -> None:
        self._loopback.close()
