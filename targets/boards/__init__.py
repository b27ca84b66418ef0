"""Boards: their descriptions, the access to them, and their recovery.

    from hil.targets.board_address import reach

    board = find_board("mps3_an547@/dev/ttyUSB2")
    with open_board(board) as link:                     # found, locked, identified
        link.write(0x70000000, data)
    with reach("virtual") as access, Recovery.of(access) as recovery:
        recovery.attempt(lambda link: link.read(0x70000000, 16))

`Board` is data (a TOML file), `BoardAccess` its port and resets (local, in a lab, virtual), `Recovery` repairs it.
"""

from __future__ import annotations

from hil.core.errors import (
    BoardError,
    BoardLostError,
    FlashError,
    InUseError,
    PortError,
    ResetError,
    StuckError,
    WrongBoardError,
)
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.catalogue import find_board, names
from hil.targets.boards.connection import open_board
from hil.targets.boards.description import Board
from hil.targets.boards.health import Health
from hil.targets.boards.local_port import local_access
from hil.targets.boards.recovery import Recovery

__all__ = [
    "Board",
    "BoardAccess",
    "BoardError",
    "BoardLostError",
    "FlashError",
    "Health",
    "InUseError",
    "PortError",
    "Recovery",
    "ResetError",
    "StuckError",
    "WrongBoardError",
    "find_board",
    "local_access",
    "names",
    "open_board",
]
