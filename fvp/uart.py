"""Where a UART's output goes, and the two signs in it that end a simulation.

`shutdown_on_eot` ends it on the byte EOT (0x04), which Arm's firmware sends last; `shutdown_tag` on a text.  Bytes
behind the sign are not written.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hil.fvp.contract import STDOUT, CommandLine
from hil.fvp.parameters import UARTS
from hil.npu.errors import BadInputError

EOT = 4


@dataclass(frozen=True)
class UartSettings:
    """What the command line says of one UART."""

    number: int
    out_file: str
    unbuffered: bool
    shutdown_on_eot: bool
    shutdown_tag: bytes


def settings(line: CommandLine) -> list[UartSettings]:
    """The UARTs that `line` asks anything of."""
    found = []
    for number in UARTS:
        at = f"mps3_board.uart{number}"
        uart = UartSettings(
            number,
            line.text(f"{at}.out_file"),
            line.flag(f"{at}.unbuffered_output"),
            line.flag(f"{at}.shutdown_on_eot"),
            line.text(f"{at}.shutdown_tag").encode(),
        )
        if uart.out_file or uart.shutdown_on_eot or uart.shutdown_tag:
            found.append(uart)
    return found


class UartSink:
    """Writes what one UART sends; `ended` once it sent a sign that ends the simulation."""

    def __init__(self, uart: UartSettings) -> None:
        self.ended = False
        self._settings = uart
        self._tail = b""
        self._file: IO[bytes] | None = None
        if uart.out_file == STDOUT:
            self._file = sys.stdout.buffer
        elif uart.out_file:
            try:
                self._file = Path(uart.out_file).open("wb")  # noqa: SIM115 - closed by `close`
            except OSError as error:
                raise BadInputError(
                    f"UART {uart.number}: {uart.out_file} cannot be written: {error.strerror}"
                ) from None

    def drain(self, sock: socket.socket) -> None:
        """Takes all that has arrived on `sock`, without waiting."""
        while not self.ended:
            try:
                data = sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except (BlockingIOError, ConnectionError):
                return
            if not data:
                return
            self.take(data)

    def take(self, data: bytes) -> None:
        """Writes `data` up to a sign that ends the simulation."""
        end = data.find(EOT) if self._settings.shutdown_on_eot else -1
        tag = self._settings.shutdown_tag
        if tag:
            seen = self._tail + data
            at = seen.find(tag)
            if at >= 0:
                behind = at + len(tag) - len(self._tail)
                end = behind if end < 0 else min(end, behind)
            self._tail = seen[-len(tag) :]
        self.ended = end >= 0
        if self._file:
            self._file.write(data if end < 0 else data[:end])
            self._file.flush()

    def close(self) -> None:
        """Completes the file."""
        if self._file and self._file is not sys.stdout.buffer:
            self._file.close()
