"""A UART on a TCP port of this machine: what a terminal or a test types, the firmware reads.

    terminal = Terminal(0, 5000)
    terminal.port                       # the first free one from 5000 on
    terminal.send(data); terminal.exchange(uart)

It listens on loopback alone and serves one client at a time, raw: no telnet commands are sent or understood.  What the
firmware sent before the first client came is kept for it, the last `BACKLOG` bytes.
"""

from __future__ import annotations

import contextlib
import socket

from hil.core.errors import BadInputError

HOST = "127.0.0.1"
BACKLOG = 1 << 16
"""Bytes that wait for a client, or for firmware that does not read."""

_PORTS = 100
"""Ports that are tried one after the other."""

_LAST_SECONDS = 1.0
"""How long the end of the output may take a client that reads slowly."""


class Terminal:
    """The port of UART `number`, the first free one from `first_port` on (0: any); raises `BadInputError`."""

    def __init__(self, number: int, first_port: int) -> None:
        self._listener = _listen(number, first_port)
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._to_client = bytearray()
        self._to_uart = bytearray()
        self._served = False

    def send(self, data: bytes) -> None:
        """Takes what the firmware sent."""
        if self._client is not None or not self._served:
            self._to_client += data
        if self._client is None:
            del self._to_client[:-BACKLOG]

    @property
    def is_full(self) -> bool:
        """Whether the client does not keep up; then the UART must wait."""
        return self._client is not None and len(self._to_client) > BACKLOG

    def exchange(self, uart: socket.socket) -> None:
        """Moves what can be moved between client and UART, without waiting."""
        if self._client is None:
            with contextlib.suppress(BlockingIOError):
                self._client = self._listener.accept()[0]
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._client.setblocking(False)
                self._served = True
        if self._client is not None:
            try:
                del self._to_client[: _send(self._client, self._to_client)]
                if len(self._to_uart) < BACKLOG:
                    self._receive(self._client)
            except ConnectionError:
                self._leave()
        with contextlib.suppress(ConnectionError):
            del self._to_uart[: _send(uart, self._to_uart)]

    def close(self) -> None:
        """Gives a client the rest and ends."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.settimeout(_LAST_SECONDS)
                self._client.sendall(self._to_client)
            self._leave()
        self._listener.close()

    def _receive(self, client: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            data = client.recv(BACKLOG)
            if not data:
                raise ConnectionResetError
            self._to_uart += data

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._to_client.clear()


def _send(target: socket.socket, data: bytearray) -> int:
    """Bytes of `data` that were sent without waiting."""
    if not data:
        return 0
    try:
        return target.send(data, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0


def _listen(number: int, first_port: int) -> socket.socket:
    if not 0 <= first_port < 1 << 16:
        raise BadInputError(f"mps3_board.telnetterminal{number}.start_port={first_port}: not a port")
    last = min(first_port + _PORTS, 1 << 16)
    for port in [0] if first_port == 0 else range(first_port, last):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(1)
        except OSError:
            listener.close()
            continue
        listener.setblocking(False)
        return listener
    raise BadInputError(f"mps3_board.telnetterminal{number}: no port is free from {first_port} to {last - 1}")
