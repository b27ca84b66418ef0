"""Alarms survive further sessions, or are said not to have."""

from __future__ import annotations

import pytest

from hil.harness.judgement import Judgement, Outcome, Verdict, confirm
from hil.harness.judgement.confirmation import SESSIONS


def judgement(verdict: Verdict) -> Judgement:
    return Judgement(verdict, 31.0, 0.031, 21.0, 41.0, 10.0, "")


WORSE, SAME, UNKNOWN, BETTER = map(judgement, (Verdict.WORSE, Verdict.SAME, Verdict.UNKNOWN, Verdict.BETTER))


@pytest.mark.parametrize(
    ("again", "outcome", "stands"),
    [
        ([WORSE] * SESSIONS, Outcome.CONFIRMED, True),
        ([SAME], Outcome.NOT_CONFIRMED, False),
        ([WORSE, UNKNOWN], Outcome.NOT_CONFIRMED, False),
        ([BETTER, WORSE], Outcome.NOT_CONFIRMED, False),
        ([], Outcome.NOT_MEASURED, True),
        ([WORSE], Outcome.NOT_MEASURED, True),
    ],
)
def test_outcomes(again: list[Judgement], outcome: Outcome, stands: bool) -> None:
    found = confirm(WORSE, again)
    assert (found.outcome, found.stands) == (outcome, stands)


def test_only_an_alarm_is_confirmed() -> None:
    with pytest.raises(ValueError, match="unknown"):
        confirm(UNKNOWN, [])
