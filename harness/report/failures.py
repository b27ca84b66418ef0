"""Failures of a run as a report shows them: bounded in number, in messages and in logs."""

from __future__ import annotations

from collections.abc import Sequence

from hil.harness.plain_text import plain_text
from hil.harness.report.content import Failure
from hil.harness.report.log_text import MOST, log_end
from hil.harness.results.records import FailureRecord

MOST_FAILURES = 500
_MOST_OF_ALL_LOGS = 50 * MOST
_MESSAGE = 1_000


def failures_of(found: Sequence[FailureRecord]) -> tuple[Failure, ...]:
    """Returns the failures, those of models before those of the infrastructure; equal logs are shown once."""
    ordered = sorted(found, key=lambda one: one.infrastructure)
    shown: list[Failure] = []
    tests: dict[str, str] = {}
    room = _MOST_OF_ALL_LOGS
    for one in ordered[:MOST_FAILURES]:
        log = log_end(one.log, min(MOST, room)) if room > _MESSAGE else ""
        if log and log in tests:
            log = f"the same log as that of {tests[log]}"
        elif log:
            tests[log] = one.test
        room -= len(log)
        shown.append(_failure(one, log))
    if left_out := ordered[MOST_FAILURES:]:
        message = f"{len(left_out)} more failures are in the database"
        shown.append(Failure("", "", "", "", left_out[0].infrastructure, message, "", ""))
    return tuple(shown)


def _failure(one: FailureRecord, log: str) -> Failure:
    message = plain_text(one.message)
    message = message if len(message) <= _MESSAGE else f"{message[: _MESSAGE - 3]}..."
    return Failure(one.test, one.deployment, one.board, one.kind, one.infrastructure, message, one.operator, log)
