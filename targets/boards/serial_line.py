"""A board's serial line, opened as its description says.

channel = open_line(board, lambda: "/dev/ttyUSB0")
"""

from __future__ import annotations

from collections.abc import Callable

from hil.targets.boards.description import Board
from hil.targets.link import open_channel
from hil.targets.link.channel import SerialChannel


def open_line(board: Board, find: Callable[[], str]) -> SerialChannel:
    """The port that `find` names, now and at each further opening, at the board's baud rate, with DTR and RTS at the
    levels that the description gives them; raises as `open_channel`.
    """
    return open_channel(find(), board.baud, find=find, lines=dict(board.lines))
