"""Gets a board back that is silent, talks garbage, was reset, hangs or is unplugged; or says that it is lost.

    from hil.targets.boards import find_board
    from hil.targets.boards.local_port import local_access

    with Recovery.of(local_access(find_board("desk"))) as recovery:
        data = recovery.attempt(lambda link: link.read(0x70000000, 16))

The work is done from its start after each recovery, on a board whose memory may be empty or as it was: what is written
through `Link.write` is sent only where it is not there.  First the board is opened and identified again, then it is
reset in the ways that it offers, in their order, each once; the first after which the work succeeds is the last.  Then
`BoardLostError` says what was tried, and the board is out of order.  Each step ends in bounded time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from hil.core.errors import (
    BoardError,
    BoardLostError,
    InUseError,
    JobError,
    PortError,
    ResetError,
    StuckError,
    WrongBoardError,
)
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.connection import PATIENCE_S, HeldPort, connect
from hil.targets.boards.description import Board
from hil.targets.boards.health import Health
from hil.targets.boards.port_lock import Say
from hil.targets.link import Link, LinkError, RefusedError, Status

MOST_RECOVERIES = 20
"""A board that was got back so many times is as good as lost: what it measures is not to be waited for."""
AGAIN = "again"
"""The first step: the port is opened and the board identified anew, without a reset."""

_POLL_S = 0.1
_MOST_LOG = 16 << 10
_SETTLE_S = 0.2
T = TypeVar("T")


class Connection(Protocol):
    """A connection to a board."""

    def close(self) -> None:
        """Closes the port."""


C = TypeVar("C", bound=Connection)


class Recovery(Generic[C]):
    """A board in use, its port locked from the first attempt until `close`.

    `connect` opens what speaks to the board and compares it with the description (for protocol `hil`, `Recovery.of`
    gives that); `say` is called with each recovery step; `health` is shared by all who use the board in this session.
    """

    def __init__(
        self,
        access: BoardAccess,
        connect: Callable[[Board, Callable[[], str]], C],
        *,
        health: Health | None = None,
        patience_s: float = PATIENCE_S,
        say: Say | None = None,
    ) -> None:
        self.access = access
        self.health = health or Health()
        self.recoveries = 0
        self._connect = connect
        self._port = HeldPort(access, patience_s, say)
        self._say = say or (lambda text: None)
        self._connection: C | None = None

    @classmethod
    def of(cls, access: BoardAccess, **options: object) -> Recovery[Link]:
        """The recovery of a board that speaks `hil`."""
        return Recovery(access, connect, **options)  # type: ignore[arg-type]

    def __enter__(self) -> Recovery[C]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes and unlocks the port."""
        self._disconnect()
        self._port.release()

    def attempt(self, work: Callable[[C], T]) -> T:
        """Runs `work` and returns its result; runs it again after each recovery.

        An error that is not of board or link passes through, as does what a reset cannot mend: a request that the board
        refused for its content, a port that another run holds.  Raises `BoardLostError` when nothing helped, and at
        once for a board that is out of order.
        """
        board = self.access.board.name
        self.health.check(board)
        try:
            return self._attempt(work)
        except (BoardError, LinkError, JobError) as error:
            if not isinstance(error, (BoardLostError, InUseError)):  # Another run's board has not failed.
                self.health.failed(board, error)
            raise

    def _attempt(self, work: Callable[[C], T]) -> T:
        board, story = self.access.board.name, _Story()
        try:
            return self._once(work)
        except (BoardError, LinkError) as error:
            first = last = self._noted(story, error)
        for name, way in self._steps(last):
            if isinstance(last, WrongBoardError) and name != AGAIN:
                raise last  # A reset would be somebody else's.
            if self.recoveries >= MOST_RECOVERIES:
                break
            self.recoveries += 1
            self._say(f"{board}: {last.args[0]}; {'identified again' if name == AGAIN else f'reset by {name}'}")
            try:
                self._disconnect()
                story.tried.append(name)
                way()
                result = self._once(work, self.access.board.reset.boot_s)
                self.health.recovered(board, first, story.tried)
                return result
            except (BoardError, LinkError) as error:
                noted = self._noted(story, error)
                last = last if isinstance(noted, ResetError) else noted  # A way that is not there is no cause.
        if isinstance(last, WrongBoardError):
            raise last
        raise self._lost(story, last)

    def _steps(self, error: BoardError | LinkError) -> Iterator[tuple[str, Callable[[], None]]]:
        if not isinstance(error, StuckError):
            yield AGAIN, lambda: time.sleep(_SETTLE_S)
        yield from self.access.ways.items()

    def _once(self, work: Callable[[C], T], wait_s: float = 0.0) -> T:
        if self._connection is None:
            self._wait_for_port(wait_s)
            self._connection = self._connect(self.access.board, self._port.find)
        return work(self._connection)

    def _wait_for_port(self, wait_s: float) -> None:
        """A port that is gone may come back, as may one that a terminal server has not freed yet."""
        end = time.monotonic() + wait_s
        while True:
            try:
                self._port.find()
                return
            except PortError:
                if time.monotonic() >= end:
                    raise
            time.sleep(_POLL_S)

    def _noted(self, story: _Story, error: BoardError | LinkError) -> BoardError | LinkError:
        """Writes down what happened; raises it again if no reset mends it."""
        if isinstance(error, InUseError) or (isinstance(error, RefusedError) and error.status is not Status.BUSY):
            raise error
        story.add(error)
        return error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(LinkError):
                connection.close()

    def _lost(self, story: _Story, error: BoardError | LinkError) -> BoardLostError:
        board = self.access.board.name
        tried = tuple(story.tried)
        done = ", ".join(tried) if tried else "nothing: it was got back too often"
        lost = BoardLostError(
            f"{board} is lost: {type(error).__name__}: {error.args[0]}; tried: {done}",
            board=board,
            tried=tried,
            hint=error.hint or "supply, cable, firmware",
            log=story.text,
        )
        self.health.mark(lost, error)
        self.close()
        return lost


class _Story:
    """A report of the board's failures, with the transcripts."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._parts: list[str] = []
        self.tried: list[str] = []

    def add(self, error: BoardError | LinkError) -> None:
        """An error, and what was tried before it."""
        after = f" after {self.tried[-1]}" if self.tried else ""
        kind = "could not be done" if isinstance(error, ResetError) else type(error).__name__
        head = f"[{time.monotonic() - self._start:.1f} s]{after}: {kind}: {error.args[0]}"
        self._parts.append("\n".join(filter(None, [head, error.log.rstrip()])))

    @property
    def text(self) -> str:
        return "\n".join(self._parts)[-_MOST_LOG:]
