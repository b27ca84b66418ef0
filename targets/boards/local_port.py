"""A board on a port of this machine: its port is searched for, its resets are modem lines, commands and the link's own.

from hil.targets.boards import find_board

access = local_access(find_board("mps3_an547@/dev/ttyUSB2"))
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from hil.core.errors import PortError, ResetError
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.description import Board
from hil.targets.boards.external_program import ProgramError, run
from hil.targets.boards.ports import PortCandidate, find_candidate
from hil.targets.boards.serial_line import open_line
from hil.targets.link import Link, LinkError
from hil.targets.link.channel import SerialChannel


def local_access(board: Board) -> BoardAccess:
    """Access to a board that is plugged into this machine."""
    here = _LocalPort(board)
    return BoardAccess(board, here.path, {way: here.way(way) for way in board.reset.ways})


class _LocalPort:
    """Remembers the port on which the board was seen last: a power switch may need it while the board is off."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._seen: PortCandidate | None = None

    def find(self) -> PortCandidate:
        """Finds the board's port."""
        self._seen = find_candidate(self.board)
        return self._seen

    def path(self) -> str:
        """The name of its port now."""
        return self.find().path

    def way(self, name: str) -> Callable[[], None]:
        """The reset of that name."""
        return {
            "protocol": self.ask,
            "dtr": lambda: self.pulse("dtr"),
            "rts": lambda: self.pulse("rts"),
            "command": lambda: self.command(self.board.reset.command, self.board.reset.limit_s),
            "power": self.cycle,
        }[name]

    def ask(self) -> None:
        """Asks the firmware to reset the board."""
        board = self.board
        try:
            boot_s = board.reset.boot_s
            with Link(open_line(board, self.path), silence_s=boot_s, reopen_s=boot_s) as link:
                link.identify()
                link.reset()
        except (LinkError, PortError) as error:
            raise ResetError(f"{board.name} cannot be asked for a reset: {error}", log=error.log) from error

    def pulse(self, line: str) -> None:
        """Asserts DTR or RTS for a moment, from either state, and lets it go."""
        try:
            with self._opened() as channel:
                for level in (False, True, False):
                    channel.set_lines(**{line: level})
                    time.sleep(self.board.reset.pulse_s)
        except (LinkError, PortError) as error:
            raise ResetError(f"{self.board.name}: {line.upper()} cannot be set: {error}") from error

    def command(self, words: Sequence[str], limit_s: float) -> None:
        """Runs a command that resets, or switches, the board."""
        port = self._port()
        usb = self.board.usb
        serial = port.serial or (usb.serial if usb and usb.serial else "")
        try:
            run(words, {"port": port.path, "serial": serial}, limit_s)
        except ProgramError as error:
            raise ResetError(f"{self.board.name}: {error}", log=error.log) from error

    def cycle(self) -> None:
        """Switches the power off, and after a pause on."""
        power = self.board.power
        assert power is not None, "the description was checked"
        self.command(power.off, power.limit_s)
        time.sleep(power.pause_s)
        self.command(power.on, power.limit_s)

    def _opened(self) -> contextlib.closing[SerialChannel]:
        return contextlib.closing(open_line(self.board, self.path))

    def _port(self) -> PortCandidate:
        with contextlib.suppress(PortError):
            return self.find()
        return self._seen or PortCandidate(self.board.port)
