"""Health of the boards of a report: their state, and what happened to them in its nights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hil.harness.report.content import BoardEvent, BoardHealth
from hil.harness.report.log_text import first_line
from hil.harness.results.board_health import FAILURES, OK, StoredBoard, cause_of, record_of
from hil.harness.results.records import StoredEvent

MOST_EVENTS = 100
"""Newest events of a board."""


def boards_of(boards: Sequence[StoredBoard], positions: Mapping[str, int]) -> tuple[BoardHealth, ...]:
    """Returns the boards that were used in the nights, and those in quarantine; `positions` are those of runs by id."""
    found = (_board(one, [event for event in one.events if event.run_id in positions], positions) for one in boards)
    return tuple(one for one in found if one.events or one.state != OK)


def _board(board: StoredBoard, events: Sequence[StoredEvent], positions: Mapping[str, int]) -> BoardHealth:
    failures = Counter(cause_of(record_of(one)) for one in events if record_of(one).event in FAILURES)
    shown = tuple(_event(event, positions[event.run_id]) for event in events[-MOST_EVENTS:])
    return BoardHealth(board.name, board.serial, board.state, board.reason, tuple(failures.most_common()), shown)


def _event(event: StoredEvent, run: int) -> BoardEvent:
    record = record_of(event)
    cause, colon, detail = first_line(record.detail).partition(": ")
    if record.event in FAILURES and colon:
        return BoardEvent(event.at, run, record.event, cause, detail)
    return BoardEvent(event.at, run, record.event, "", first_line(record.detail))
