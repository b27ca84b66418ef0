"""Confirmation of an alarm on a measured figure, by sessions that had no part in it.

    >>> alarm = Judgement(Verdict.WORSE, 31.0, 0.031, 21.0, 41.0, 10.0, "")
    >>> confirm(alarm, [alarm, Judgement(Verdict.SAME, 2.0, 0.002, -8.0, 12.0, 10.0, "")]).outcome.value
    'not confirmed'

A night of a noisy figure is now and then out of bounds, and repetitions in its session repeat it.  So an alarm is
called a regression only if `SESSIONS` further sessions (after a power cycle, or on another board of the same kind) are
each judged worse by themselves.  Two are asked for because of figures with a rare second level: one session in twenty
on it agrees with one confirmation by chance in one night of 400, with two in one of 8,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from hil.harness.judgement.verdict import Judgement, Verdict

SESSIONS = 2
"""Further sessions that must each be judged worse."""


class Outcome(str, Enum):
    """Outcome of a confirmation; an alarm that could not be measured again stands."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    NOT_MEASURED = "could not be measured again"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Confirmation:
    """An outcome and its reason, one short sentence; `stands`: the alarm is a regression."""

    outcome: Outcome
    rule: str

    @property
    def stands(self) -> bool:
        return self.outcome is not Outcome.NOT_CONFIRMED


def confirm(alarm: Judgement, again: Sequence[Judgement]) -> Confirmation:
    """Decides on an alarm by the judgements of the further sessions that could be measured, in their order.

    The first that is not worse ends it: the alarm is not confirmed.  Raises ValueError if `alarm` is not worse.
    """
    if alarm.verdict is not Verdict.WORSE:
        raise ValueError(f"only an alarm is confirmed, and this verdict is {alarm.verdict}")
    for number, judgement in enumerate(again[:SESSIONS], 1):
        if judgement.verdict is not Verdict.WORSE:
            rule = f"further session {number} of {SESSIONS} was {judgement.verdict}: {judgement.change:+g}"
            return Confirmation(Outcome.NOT_CONFIRMED, rule)
    if len(again) < SESSIONS:
        return Confirmation(Outcome.NOT_MEASURED, f"{len(again)} of {SESSIONS} further sessions could be measured")
    return Confirmation(Outcome.CONFIRMED, f"{SESSIONS} further sessions were worse, each by itself")
