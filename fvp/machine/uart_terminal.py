"""A UART on a TCP port of this machine: the firmware reads what a terminal or a test types.

    terminal = Terminal(0, 5000)
    terminal.port                       # the first free one from 5000 on
    terminal.send(data); terminal.exchange(uart)

It listens on loopback alone and serves one client at a time, raw: no telnet commands are sent or understood.  The
first client gets the last `BACKLOG` bytes of the output before it.
"""

from __future__ import annotations

import contextlib
import socket

from hil.core.errors import BadInputError
from hil.fvp.machine.loopback import BACKLOG, LoopbackPort

_PORTS = 100
"""Ports that are tried one after the other."""

_LAST_SECONDS = 1.0
"""Time for a client that reads slowly to take the end of the output."""


class Terminal:
    """The port of UART `number`, the first free one from `first_port` on (0: any); raises `BadInputError`."""

    def __init__(self, number: int, first_port: int) -> None:
        self._loopback = _listen(number, first_port)
        self.port = self._loopback.number
        self._to_uart = bytearray()
        self._served = False

    def send(self, data: bytes) -> None:
        """Queues the firmware's output for the client."""
        unsent, connected = self._loopback.unsent, self._loopback.has_client
        if connected or not self._served:
            unsent += data
        if not connected:
            del unsent[:-BACKLOG]

    @property
    def is_full(self) -> bool:
        """True while the client does not keep up, so that the UART must wait."""
        return self._loopback.has_client and len(self._loopback.unsent) > BACKLOG

    def exchange(self, uart: socket.socket) -> None:
        """Moves data between client and UART, without waiting."""
        self._served |= self._loopback.accept()
        self._loopback.flush()
        if len(self._to_uart) < BACKLOG:
            self._to_uart += self._loopback.receive(BACKLOG)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if self._to_uart:
                del self._to_uart[: uart.send(self._to_uart, socket.MSG_DONTWAIT)]

    def close(self) -> None:
        """Sends the client the rest and disconnects it."""
        self._loopback.close(_LAST_SECONDS)


def _listen(number: int, first_port: int) -> LoopbackPort:
    if not 0 <= first_port < 1 << 16:
        raise BadInputError(f"mps3_board.telnetterminal{number}.start_port={first_port}: not a port")
    last = min(first_port + _PORTS, 1 << 16)
    for port in [0] if first_port == 0 else range(first_port, last):
        with contextlib.suppress(OSError):
            return LoopbackPort(port)
    raise BadInputError(f"mps3_board.telnetterminal{number}: no port is free from {first_port} to {last - 1}")
