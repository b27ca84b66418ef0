"""Sequential judgement of a measured figure: more sessions while unknown, further ones to confirm an alarm.

>>> from functools import partial
>>> from hil.harness.judgement import judge_measured
>>> baseline = [[1000.0], [1003.0], [999.0], [1001.0], [1004.0], [998.0], [1000.0], [1002.0], [997.0], [1001.0]]
>>> judge = partial(judge_measured, baseline, lower_is_better=True)
>>> sessions = iter([[1031.0], [1029.0], [1002.0]])
>>> found = judge_sequentially(judge, lambda: next(sessions), most_samples=3)
>>> str(found.judgement.verdict), str(found.confirmation.outcome), len(found.sessions)
('worse', 'not confirmed', 3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.harness.judgement.confirmation import SESSIONS, Confirmation, confirm
from hil.harness.judgement.verdict import Judgement, Verdict

Session = Sequence[float]

MOST_SAMPLES = 3
"""Further sessions that an unknown verdict may ask for where a caller names no number."""


class Judge(Protocol):
    """`judge_measured` with all arguments but the candidate's sessions and `most_samples`."""

    def __call__(self, candidate: Sequence[Session], *, most_samples: int) -> Judgement: ...


@dataclass(frozen=True)
class SequentialJudgement:
    """The judgement, the confirmation of an alarm (None: there was none), and all sessions that were measured."""

    judgement: Judgement
    confirmation: Confirmation | None
    sessions: tuple[Session, ...]

    @property
    def regression(self) -> bool:
        return self.confirmation is not None and self.confirmation.stands


def judge_sequentially(
    judge: Judge, measure: Callable[[], Session | None], *, most_samples: int = MOST_SAMPLES
) -> SequentialJudgement:
    """Measures and judges until there is a verdict, and an alarm is confirmed or not.

    `measure` resets the board (or takes another one of its kind) and returns the repetitions of a new session, None
    where it could not be measured.  It is called at most (1 + `most_samples`) * (1 + `SESSIONS`) times.  Raises
    ValueError if it has no first session: a missing figure is not judged.
    """
    measured: list[Session] = []
    judgement = _judge(judge, measure, measured, most_samples)
    if judgement is None:
        raise ValueError("there is no session to judge")
    if judgement.verdict is not Verdict.WORSE:
        return SequentialJudgement(judgement, None, tuple(measured))
    again: list[Judgement] = []
    while len(again) < SESSIONS:
        further = _judge(judge, measure, measured, most_samples)
        if further is None:
            break
        again.append(further)
        if further.verdict is not Verdict.WORSE:
            break
    return SequentialJudgement(judgement, confirm(judgement, again), tuple(measured))


def _judge(
    judge: Judge, measure: Callable[[], Session | None], measured: list[Session], most_samples: int
) -> Judgement | None:
    """Judges new sessions by themselves, and adds them to `measured`; None if the first could not be measured."""
    candidate: list[Session] = []
    judgement = None
    while judgement is None or judgement.more_samples:
        session = measure()
        if session is None:
            break
        measured.append(session)
        candidate.append(session)
        judgement = judge(candidate, most_samples=most_samples + 1 - len(candidate))
    return judgement
