"""A UART's output and input, and the two signs that end a simulation.

Output goes to a file, to standard output, or to the client of a TCP port (`terminal`), from which the input comes.

`shutdown_on_eot` ends it on the byte EOT (0x04), which Arm's firmware sends last; `shutdown_tag` on a text.  Bytes
behind the sign are not written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import termios
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from hil.core.errors import BadInputError, FvpError
from hil.fvp.command_line.contract import STDOUT, CommandLine
from hil.fvp.command_line.parameters import PARAMETERS, UARTS

if TYPE_CHECKING:
    from hil.fvp.machine.uart_terminal import Terminal

EOT = 4


class UartSettings(NamedTuple):
    """The command line's settings of one UART."""

    number: int
    out_file: str
    unbuffered: bool
    shutdown_on_eot: bool
    shutdown_tag: bytes
    first_port: int | None
    """TCP port from which on a free one is looked for; None: no port is asked for."""


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
            os.fsencode(line.text(f"{at}.shutdown_tag")),
            _first_port(line, number),
        )
        if uart.out_file or uart.shutdown_on_eot or uart.shutdown_tag or uart.first_port is not None:
            found.append(uart)
    return found


def _first_port(line: CommandLine, number: int) -> int | None:
    """Arm's FVP always listens.  Here that is for whoever asks: by mode `raw`, or by a port that is not the usual."""
    terminal = f"mps3_board.telnetterminal{number}"
    name = f"{terminal}.start_port"
    asked = line.text(f"{terminal}.mode") == "raw" or line.parameter(name) != PARAMETERS.find(name).default
    return int(line.parameter(name)) if asked else None


class UartSink:
    """Passes on what one UART sends and receives; `ended` once it sent a sign that ends the simulation.

    With `records` it records its output until `recorded` is called, so that a further sample can begin with it.
    """

    def __init__(self, uart: UartSettings, records: bool = False) -> None:
        self.ended = False
        self._written = bytearray()
        self._records = records
        self._settings = uart
        self._tail = b""
        self._file: IO[bytes] | None = None
        self._terminal = None if uart.first_port is None else _terminal(uart.number, uart.first_port)
        if self._terminal is not None:
            told = f"telnetterminal{uart.number}: Listening for serial connection on port {self._terminal.port}"
            print(told, flush=True)
        if uart.out_file == STDOUT:
            self._file = sys.stdout.buffer
        elif uart.out_file:
            try:
                self._file = Path(uart.out_file).open("wb")  # noqa: SIM115 - closed by `close`
            except OSError as error:
                raise BadInputError(
                    f"UART {uart.number}: {uart.out_file} cannot be written: {error.strerror}"
                ) from None

    def drain(self, sock: socket.socket) -> bool:
        """Takes all that has arrived on `sock`, and gives it what was typed, without waiting.

        What comes behind the sign that ended the simulation, such as a firmware's exit code, is dropped: it may arrive
        alone, and is no output of a further sample.  Returns True if there is input that the UART has not taken.
        """
        while self.ended or not (self._terminal and self._terminal.is_full):
            try:
                data = sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except (BlockingIOError, ConnectionError):
                break
            if not data:
                break
            if not self.ended:
                self.take(data)
        if self._terminal is None:
            return False
        self._terminal.exchange(sock)
        return unread(sock)

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
        self._write(data if end < 0 else data[:end])

    def recorded(self) -> bytes:
        """Returns the output so far and stops recording it."""
        self._records = False
        return bytes(self._written)

    def start_again(self, written: bytes) -> None:
        """Begins the output of a further sample, which has `written` this much already, after an EOT."""
        self._write(bytes([EOT]))
        self.begin(written)

    def begin(self, written: bytes) -> None:
        """Begins the output of a sample that has `written` this much already."""
        self._records = False
        self.ended, self._tail = False, written[-len(self._settings.shutdown_tag) or len(written) :]
        self._write(written)

    def _write(self, data: bytes) -> None:
        if self._records:
            self._written += data
        if self._file:
            self._store(self._file, data)
        if self._terminal:
            self._terminal.send(data)

    def _store(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
            file.flush()
        except BrokenPipeError:  # Whoever read our standard output is gone, which is no error of the machine's.
            raise
        except OSError as error:
            name = self._settings.out_file
            raise FvpError(f"UART {self._settings.number}: {name} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Completes the file, and what the client gets."""
        if self._terminal:
            self._terminal.close()
        if self._file and self._file is not sys.stdout.buffer:
            with contextlib.suppress(OSError):  # What could not be written was told when it was tried.
                self._file.close()


def _terminal(number: int, first_port: int) -> Terminal:
    from hil.fvp.machine.uart_terminal import Terminal  # Few runs have one.

    return Terminal(number, first_port)


def unread(sock: socket.socket) -> bool:
    """True if the other end has not yet read all that was sent."""
    try:
        return fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)) != bytes(4)
    except OSError:
        return False
