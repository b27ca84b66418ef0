"""Opens a board: its port is found, locked and opened, and what answers is compared with the description.

from hil.targets.boards import find_board

with open_board(find_board("desk")) as link:
    link.write(0x70000000, data)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hil.targets.boards import identity
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.description import Board
from hil.targets.boards.local_port import local_access
from hil.targets.boards.port_lock import PortLock, Say, key_of
from hil.targets.boards.serial_line import open_line
from hil.targets.link import Link

PATIENCE_S = 60.0
"""Time for which a run waits for another one that holds the board's port."""


class HeldPort:
    """The board's port under lock: the lock moves with the port when it comes back under another name."""

    def __init__(self, access: BoardAccess, patience_s: float = PATIENCE_S, say: Say | None = None) -> None:
        self._access = access
        self._patience_s = patience_s
        self._say = say
        self._lock: PortLock | None = None

    def find(self) -> str:
        """The port's present name, locked; raises `PortError`, `InUseError`."""
        port = self._access.find()
        if self._lock is None or self._lock.key != key_of(port):  # It may have several names.
            moved = PortLock(port, self._patience_s, self._say)
            self.release()
            self._lock = moved
        return port

    def release(self) -> None:
        """Lets others have the board; does nothing the second time."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextlib.contextmanager
def open_board(board: Board | BoardAccess, *, patience_s: float = PATIENCE_S, say: Say | None = None) -> Iterator[Link]:
    """The link to a board that speaks `hil`, identified; nothing was written before it was known to be the right one.

    Waits `patience_s` for another run that holds it, and reports that by `say`.  Raises `PortError`, `InUseError`,
    `WrongBoardError` or a `LinkError`.
    """
    access = board if isinstance(board, BoardAccess) else local_access(board)
    port = HeldPort(access, patience_s, say)
    try:
        with contextlib.closing(connect(access.board, port.find)) as link:
            yield link
    finally:
        port.release()


def connect(board: Board, find: Callable[[], str]) -> Link:
    """An identified link over the port that `find` finds, now and whenever it has to be opened again."""
    boot_s = board.reset.boot_s
    link = Link(open_line(board, find), silence_s=boot_s, reopen_s=boot_s)
    try:
        identity.check(board, link.identify())
    except BaseException:
        link.close()
        raise
    return link
