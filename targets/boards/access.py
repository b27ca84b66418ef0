"""Reach of a board: where its port is now, and what of its resets can be done from here.

    from hil.targets.board_address import reach

    with reach("mps3_an547@/dev/ttyUSB2") as access:
        access.find()                     # "/dev/ttyUSB2"
        access.ways["power"]()            # off and on again

A local board's port is searched for, its ways are commands and modem lines.  A board of a lab or a virtual one comes
with functions of its own: whoever provides it makes a `BoardAccess` of them, and everything else is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.targets.boards.description import Board


@dataclass(frozen=True)
class BoardAccess:
    """A board within reach.

    `find` gives the path or URL of its port, as it is called now, and raises `PortError` while there is none.  `ways`
    are resets by name, tried in the order of the mapping; each raises `ResetError` if it could not be done.
    `is_virtual`: no hardware, so no figure of it is `measured`.
    """

    board: Board
    find: Callable[[], str]
    ways: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    is_virtual: bool = False
