"""Health of boards, from their events in the results database.

    for board in board_health(results, since=timedelta(days=30)):
        board.name, board.state, board.failures           # "desk", "quarantined", {"SilentError": 3}

`quarantined` is written when the rule strikes (`quarantine`), `checked` by a health check that passed; the later of the
two is the board's state.  Boards are known by name, so in one database a name is one board.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hil.harness.results.records import BoardRecord, StoredEvent
from hil.harness.results.writer import now
from hil.targets.board_event import DECIDING, EventKind

if TYPE_CHECKING:
    from hil.harness.results.results import Results

FAILURES = frozenset({EventKind.FAILED.value, EventKind.LOST.value})
"""Events that ended a board's work."""
OK, QUARANTINED = "ok", EventKind.QUARANTINED.value


@dataclass(frozen=True)
class StoredBoard:
    """A board: `state` is `ok` or `quarantined`, with its `reason` and the time `since` then.

    `serial` is the number that the board reported last; `last_failure` and `last_check` are times, None for never.
    `failures` counts the failures of the asked period by the class of the error, `events` are all events of it.
    """

    name: str
    serial: str
    state: str
    reason: str
    since: datetime | None
    last_failure: datetime | None
    last_check: datetime | None
    failures: Mapping[str, int]
    events: tuple[StoredEvent, ...]


def board_health(results: Results, since: timedelta | None = None) -> tuple[StoredBoard, ...]:
    """Returns the boards by name, with the failures and events of the last `since` (None: of all time)."""
    begin = now() - since if since is not None else None
    return tuple(_board(name, events, begin) for name, events in sorted(events_by_board(results).items()))


def events_by_board(results: Results) -> dict[str, list[StoredEvent]]:
    """Returns the events of each board in the order of their time, without the failures of tests."""
    found: dict[str, list[StoredEvent]] = {}
    for one in results.board_events(failures=False):
        found.setdefault(record_of(one).name, []).append(one)
    return found


def last(events: Iterable[StoredEvent], *kinds: str) -> StoredEvent | None:
    """Returns the newest event of some kinds; None without one."""
    return max((one for one in events if record_of(one).event in kinds), key=lambda one: one.at, default=None)


def record_of(event: StoredEvent) -> BoardRecord:
    """Returns the record of an event of `events_by_board`."""
    assert isinstance(event.record, BoardRecord)
    return event.record


def cause_of(record: BoardRecord) -> str:
    """Returns the class of the error of a failure."""
    return record.detail.partition(":")[0]


def _board(name: str, events: list[StoredEvent], begin: datetime | None) -> StoredBoard:
    decided, failure, check = last(events, *DECIDING), last(events, *FAILURES), last(events, EventKind.CHECKED.value)
    quarantine = decided if decided is not None and record_of(decided).event == QUARANTINED else None
    recent = tuple(one for one in events if begin is None or one.at >= begin)
    failed = [record_of(one) for one in recent if record_of(one).event in FAILURES]
    return StoredBoard(
        name,
        serial=next((found for one in reversed(events) if (found := record_of(one).serial)), ""),
        state=QUARANTINED if quarantine else OK,
        reason=record_of(quarantine).detail if quarantine else "",
        since=quarantine.at if quarantine else None,
        last_failure=failure.at if failure else None,
        last_check=check.at if check else None,
        failures=dict(Counter(map(cause_of, failed)).most_common()),
        events=recent,
    )
