"""A TCP port of 127.0.0.1 for one client at a time, raw; nothing waits.

    port = LoopbackPort(5000)     # 0: any free one
    port.accept()                 # True once a client has come
    port.unsent += b"..."; port.flush()
    port.receive(4096)            # what has come

Both ends of a UART that a program may open are made of it: a terminal of the simulated MPS3 and a virtual board's port.
"""

from __future__ import annotations

import contextlib
import socket

HOST = "127.0.0.1"
BACKLOG = 1 << 16
"""Bytes that wait for a slow client: more than all unanswered requests of a link can bring."""


class LoopbackPort:
    """Listens on TCP port `number` (0: any free one); raises `OSError` or `OverflowError` if that cannot be had.

    `unsent` holds the bytes for the client; they are dropped when it leaves.
    """

    def __init__(self, number: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HOST, number))
            self._listener.listen(1)
        except (OSError, OverflowError):
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self._client: socket.socket | None = None
        self.number: int = self._listener.getsockname()[1]
        self.unsent = bytearray()

    @property
    def has_client(self) -> bool:
        """True while a client is connected."""
        return self._client is not None

    def fileno(self) -> int:
        """The descriptor on which the next input, or the next client, comes."""
        return (self._client or self._listener).fileno()

    def accept(self) -> bool:
        """Takes a client that waits, if none is connected; True if it did."""
        if self._client is not None:
            return False
        try:
            client = self._listener.accept()[0]
        except OSError:
            return False
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        return True

    def receive(self, most: int) -> bytes:
        """Up to `most` bytes that the client has sent."""
        try:
            data = self._client.recv(most) if self._client else None
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if data == b"":
            self._leave()
        return data or b""

    def flush(self) -> None:
        """Sends as much of `unsent` as the client takes."""
        try:
            while self._client and self.unsent:
                del self.unsent[: self._client.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._leave()

    def close(self, wait_s: float = 0) -> None:
        """Gives the client `wait_s` seconds to take the rest of `unsent`, disconnects it and stops listening."""
        if self._client is not None and wait_s:
            with contextlib.suppress(OSError):
                self._client.settimeout(wait_s)
                self._client.sendall(self.unsent)
        self._leave()
        self._listener.close()

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self.unsent.clear()
