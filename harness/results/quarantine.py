"""Quarantine: boards that failed too often of late, by a rule, from the results database.

    rule = parse_rule("3 in 7d")
    quarantine(results, run, rule)              # after failures were written: an event for each board that it strikes
    quarantined(results)                        # {"desk": "3 failures in 7 days: SilentError 3"}

As the database decides, a quarantine holds over sessions and machines, until `hil boards check` passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hil.core.errors import BadInputError
from hil.harness.number_format import plural
from hil.harness.results.board_health import (
    FAILURES,
    QUARANTINED,
    board_health,
    cause_of,
    last,
    record_of,
)
from hil.harness.results.duration import parse_duration
from hil.harness.results.records import BoardRecord, StoredEvent
from hil.harness.results.writer import now
from hil.targets.board_address import BUILT_IN
from hil.targets.board_event import EventKind

if TYPE_CHECKING:
    from hil.harness.results.results import Results
    from hil.harness.results.writer import Run

KEY = "hil_quarantine"
"""Key of the ini file."""
DEFAULT = "3 in 7d"
OFF = "off"
MIN_RUNS = 2
"""Runs that the failures must come from: a run that fails again and again is one observation."""


@dataclass(frozen=True)
class Rule:
    """Quarantine after `failures` failures within `window`."""

    failures: int
    window: timedelta

    def reason(self, events: Sequence[StoredEvent], at: datetime) -> str:
        """Returns why a board with these events is in quarantine; empty text for one that is not.

        Failures before the last passed check do not count.
        """
        checked = last(events, EventKind.CHECKED.value)
        begin = max(filter(None, (at - self.window, checked.at if checked else None)))
        failed = [one for one in events if record_of(one).event in FAILURES and one.at > begin]
        runs = {one.run_id for one in failed}
        if len(failed) < self.failures or len(runs) < min(MIN_RUNS, self.failures):
            return ""
        causes = Counter(cause_of(record_of(one)) for one in failed).most_common()
        counted = ", ".join(f"{cause} {count}" for cause, count in causes)
        hours = round(self.window.total_seconds() / 3600)
        window = _count(hours, "hour") if hours % 24 else _count(hours // 24, "day")
        return f"{_count(len(failed), 'failure')} in {window}, in {_count(len(runs), 'run')} ({counted})"


def parse_rule(text: str | None) -> Rule | None:
    """Parses `3 in 7d`; None for `off`, the default for no text.  Raises `BadInputError` for another text."""
    words = (text or DEFAULT).split()
    if words == [OFF]:
        return None
    if len(words) == 3 and words[0].isdecimal() and int(words[0]) > 0 and words[1] == "in":
        window = parse_duration(words[2])
        if window:
            return Rule(int(words[0]), window)
    raise BadInputError(f"{KEY} = {text}: no rule", hint=f"a number of failures in hours, days or weeks: {DEFAULT}")


def quarantine(results: Results, run: Run, rule: Rule | None) -> None:
    """Writes into `run` a `quarantined` event for each board that the rule strikes and that is not in quarantine.

    A board that is started for its run, such as `virtual`, is another one the next time and never in quarantine.
    """
    if rule is None:
        return
    for board in board_health(results):
        if board.state == QUARANTINED or board.name in BUILT_IN:
            continue
        if reason := rule.reason(board.events, now()):
            run.board(BoardRecord(board.name, board.serial, QUARANTINED, reason))


def quarantined(results: Results) -> dict[str, str]:
    """Returns the boards in quarantine, each with the reason and the day."""
    found = [board for board in board_health(results) if board.state == QUARANTINED]
    return {board.name: f"{board.reason}, since {board.since:%Y-%m-%d}" for board in found}


def _count(number: int, noun: str) -> str:
    return f"{number} {plural(noun, number)}"
