"""Events of boards: what a session on a board, the quarantine and a health check write down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EventKind(str, Enum):
    """Kind of an event; the first four are a session's own."""

    IDENTIFIED = "identified"  # a session has begun: the detail is firmware, its hash, and the hardware
    RECOVERED = "recovered"  # the work failed, and went on after the steps that the detail names
    FAILED = "failed"  # the work failed and did not go on
    LOST = "lost"  # no step brought the board back
    QUARANTINED = "quarantined"  # by the rule of the results database; the detail is the reason
    CHECKED = "checked"  # a health check passed


DECIDING = frozenset({EventKind.QUARANTINED.value, EventKind.CHECKED.value})
"""Events that decide the state of a board: the newest one holds."""


@dataclass(frozen=True)
class BoardEvent:
    """An event of the board `board` in a `session`; `serial` is the number that the board reported, empty for none.

    The `detail` of a failure begins with the class of its error.
    """

    board: str
    kind: EventKind
    serial: str = ""
    detail: str = ""
    session: str = ""
