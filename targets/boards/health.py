"""Health of the boards of one session: their events, and those that are not to be used.

health = Health()
health.mark(error)              # a BoardLostError of the board "desk": out of order from now on
health.check("desk")            # raises one that says so
health.take_events()            # what happened since the last call
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

from hil.core.errors import BoardLostError, HilError, QuarantinedError
from hil.targets.board_event import BoardEvent, EventKind


class Health:
    """Health of the boards of one session; `address_of` gives the address of a board by its name."""

    def __init__(self, address_of: Callable[[str], str] = str) -> None:
        self._address_of = address_of
        self._lost: dict[str, BoardLostError] = {}
        self._quarantined: Mapping[str, str] = {}
        self._events: list[BoardEvent] = []
        self._serials: dict[str, str] = {}
        self._identified: dict[str, tuple[str, str]] = {}
        self._session = ""

    @property
    def quarantined(self) -> Mapping[str, str]:
        """Board -> why it is in quarantine."""
        return self._quarantined

    def quarantine(self, boards: Mapping[str, str]) -> None:
        """Leaves `boards` alone from now on; each with the reason."""
        self._quarantined = dict(boards)

    def check(self, board: str) -> None:
        """Raises `BoardLostError` for a board that is out of order; the transcript came with the first one.

        Raises `QuarantinedError` for one that is in quarantine.
        """
        if (first := self._lost.get(board)) is not None:
            raise BoardLostError(
                f"{board} is out of order for the rest of this session: {first.args[0]}",
                board=board,
                tried=first.tried,
                hint=first.hint,
            )
        if (reason := self._quarantined.get(board)) is not None:
            raise QuarantinedError(board, reason, self._address_of(board))

    def begin_session(self) -> None:
        """Takes the next identification of a board for that of a new session."""
        self._identified.clear()

    def identified(self, board: str, serial: str, detail: str) -> None:
        """Notes the identity that a board reported, once a session, and when it changes within one."""
        if self._identified.get(board) != (serial, detail):
            self._identified[board] = serial, detail
            self._serials[board] = serial
            self._session = secrets.token_hex(4)
            self._note(board, EventKind.IDENTIFIED, detail)

    def recovered(self, board: str, error: HilError, steps: Sequence[str]) -> None:
        """Notes a failure after which the work went on, by the last of `steps`."""
        self._note(board, EventKind.RECOVERED, f"{_text(error)}; by {', '.join(steps)}")

    def failed(self, board: str, error: HilError) -> None:
        """Notes a failure that ended the work."""
        self._note(board, EventKind.FAILED, _text(error))

    def passed(self, board: str, detail: str) -> None:
        """Notes a passed health check."""
        self._note(board, EventKind.CHECKED, detail)

    def mark(self, error: BoardLostError, cause: HilError | None = None) -> None:
        """The board of `error` is out of order from now on; `cause` is the failure that no step mended."""
        if error.board not in self._lost:
            self._lost[error.board] = error
            detail = f"{_text(cause or error)}; tried: {', '.join(error.tried) or 'nothing'}"
            self._note(error.board, EventKind.LOST, detail)

    @property
    def events(self) -> tuple[BoardEvent, ...]:
        """The events since the last `take_events`, in their order."""
        return tuple(self._events)

    def take_events(self) -> tuple[BoardEvent, ...]:
        """Returns the events since the last call, in their order."""
        events, self._events = tuple(self._events), []
        return events

    def _note(self, board: str, kind: EventKind, detail: str) -> None:
        self._events.append(BoardEvent(board, kind, self._serials.get(board, ""), detail, self._session))


def _text(error: HilError) -> str:
    return f"{type(error).__name__}: {error.args[0]}"
