"""Health of the boards of a report, from the events and failures of its nights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hil.harness.report.content import BoardEvent, BoardHealth
from hil.harness.report.log_text import first_line
from hil.harness.results.records import BoardRecord, FailureRecord, StoredEvent

MOST_EVENTS = 100
"""Newest events of a board."""


def boards_of(events: Sequence[StoredEvent], positions: Mapping[str, int]) -> tuple[BoardHealth, ...]:
    """Returns the boards by name; `positions` are those of the runs by id, and events of other runs are left out."""
    by_board: dict[str, list[StoredEvent]] = {}
    for event in events:
        if event.run_id in positions:
            name = event.record.board if isinstance(event.record, FailureRecord) else event.record.name
            by_board.setdefault(name, []).append(event)
    return tuple(_board(name, by_board[name], positions) for name in sorted(by_board))


def _board(name: str, events: Sequence[StoredEvent], positions: Mapping[str, int]) -> BoardHealth:
    records = [event.record for event in events]
    failures = Counter(one.kind for one in records if isinstance(one, FailureRecord) and one.infrastructure)
    serial = next((one.serial for one in reversed(records) if isinstance(one, BoardRecord) and one.serial), "")
    shown = tuple(_event(event, positions) for event in events[-MOST_EVENTS:])
    return BoardHealth(name, serial, "ok", "", tuple(failures.most_common()), shown)


def _event(event: StoredEvent, positions: Mapping[str, int]) -> BoardEvent:
    one, run = event.record, positions.get(event.run_id)
    if isinstance(one, FailureRecord):
        return BoardEvent(event.at, run, "failed", one.kind, first_line(one.message))
    return BoardEvent(event.at, run, one.event, "", first_line(one.detail))
