"""Comparison of a run with a baseline: a verdict on every figure, and what differs between the two.

    from hil.harness.comparison.gates import gates_of

    found = compare(run, baseline, gates=lambda record: gates_of(record.gates))
    found.fails                                     # True where a gated figure is worse or missing
    [one for one in found.figures if one.outcome is Outcome.WORSE]

Two figures are judged only where all that they depend on is equal (`dependencies`); else the outcome names what
differs.  Exact, modelled and simulated figures have no noise; measured ones are judged by theirs, and an alarm on one
must be confirmed by the run's further sessions, where it has any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from hil.core.measurement import Trust
from hil.harness.comparison.dependencies import changes, differences
from hil.harness.comparison.direction import lower_is_better
from hil.harness.comparison.gates import Gate
from hil.harness.comparison.pairing import Pair, pair_deployments
from hil.harness.judgement import (
    Judgement,
    Noise,
    SequentialJudgement,
    Verdict,
    judge_exact,
    judge_measured,
    judge_sequentially,
)
from hil.harness.judgement import Outcome as Confirmed
from hil.harness.results.records import DeploymentFigures, DeploymentRecord, FailureRecord, FigureRecord

SESSION = "#"
"""Before the number of a further session in the name of its figure: `latency#2` has the repetitions of the second."""


class Outcome(str, Enum):
    """Outcome of one figure; `WORSE` and `MISSING` fail where the figure has a gate."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    UNKNOWN = "unknown"
    NOT_CONFIRMED = "not confirmed"
    MISSING = "missing"
    NOT_RUN = "not run"
    NOT_COMPARABLE = "not comparable"
    NEW = "new"


_UNFINISHED = "the run did not come to its end"
_OPEN = (Outcome.UNKNOWN, Outcome.NOT_CONFIRMED, Outcome.NOT_COMPARABLE)


@dataclass(frozen=True)
class FigureComparison:
    """One figure of one deployment: `before` is the baseline's value, `after` the run's, None where there is none.

    `differs` are the fields that keep the two from being compared, field -> (before, after); `reason` says why a figure
    is missing; `judgement` has the numbers of the verdict.  `wants_session`: a further session on the target would
    settle an unknown verdict, or confirm an alarm.
    """

    deployment: str
    target: str
    figure: str
    outcome: Outcome
    before: float | None
    after: float | None
    unit: str
    trust: str
    gate: Gate | None
    judgement: Judgement | None = None
    differs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reason: str = ""
    wants_session: bool = False

    @property
    def fails(self) -> bool:
        """Returns whether a gate fails."""
        if self.gate is None:
            return False
        return self.outcome is Outcome.WORSE or (self.outcome is Outcome.MISSING and self.gate.required)

    @property
    def is_open(self) -> bool:
        """Returns whether a gated figure has no verdict, which fails a strict comparison."""
        return self.gate is not None and self.outcome in _OPEN


@dataclass(frozen=True)
class Comparison:
    """All figures of both runs, and by deployment every field of the identity that differs."""

    figures: tuple[FigureComparison, ...]
    changes: Mapping[str, Mapping[str, tuple[str, str]]]

    @property
    def fails(self) -> bool:
        return any(one.fails for one in self.figures)

    @property
    def broke_down(self) -> bool:
        """Returns whether a gated figure is missing because the target or its surroundings failed."""
        return any(one.outcome is Outcome.NOT_RUN and one.gate is not None for one in self.figures)

    def exit_code(self, *, strict: bool = False) -> int:
        """Returns 1 for a failed gate, or with `strict` for one without a verdict, 3 for a broken target, else 0."""
        if self.fails or (strict and any(one.is_open for one in self.figures)):
            return 1
        return 3 if self.broke_down else 0


Gates = Callable[[DeploymentRecord], Mapping[str, Gate]]


@dataclass(frozen=True)
class Past:
    """Past of a measured figure: its calibrated noise, and one value a night, the oldest first.

    The latest `since_baseline` nights came after the baseline.
    """

    noise: Noise | None = None
    nights: Sequence[float] = ()
    since_baseline: int = 0


PastOf = Callable[[Pair, str], Past]


def _no_past(_pair: Pair, _figure: str) -> Past:
    return Past()


def compare(
    run: Sequence[DeploymentFigures],
    baseline: Sequence[DeploymentFigures],
    *,
    gates: Gates,
    vary: Collection[str] = (),
    failures: Sequence[FailureRecord] = (),
    past: PastOf = _no_past,
    finished: bool = True,
) -> Comparison:
    """Compares every figure of two runs, deployment by deployment.

    `gates` gives those of a deployment; `vary` are the parts of the identity that may differ; `failures` are those of
    the run; `past` gives the noise and the nights of a measured figure.  Of a run that has not `finished`, what it
    lacks is not run.
    """
    reasons = {
        failure.deployment: f"{failure.kind}: {failure.message}"
        for failure in failures
        if failure.infrastructure and failure.deployment
    }
    usual = "" if finished else _UNFINISHED
    pairs = pair_deployments(baseline, run)
    figures = [
        one
        for pair in pairs
        for one in _figures(pair, gates(pair.record), vary, past, reasons.get(pair.record.name, usual))
    ]
    return Comparison(tuple(figures), {pair.name: found for pair in pairs if (found := _changes(pair))})


def _changes(pair: Pair) -> dict[str, tuple[str, str]]:
    if pair.before is None or pair.after is None:
        return {}
    return changes(pair.before.record.identity, pair.after.record.identity)


def _figures(
    pair: Pair, gates: Mapping[str, Gate], vary: Collection[str], past: PastOf, not_run: str
) -> list[FigureComparison]:
    before = pair.before.figures if pair.before else {}
    after = pair.after.figures if pair.after else {}
    names = [name for name in {**before, **after} if SESSION not in name]
    return [_figure(pair, name, gates.get(name), vary, past, not_run) for name in names]


def _figure(
    pair: Pair,
    name: str,
    gate: Gate | None,
    vary: Collection[str],
    past: PastOf,
    not_run: str,
) -> FigureComparison:
    """Compares one figure; `not_run` is why the target or its surroundings may have kept it from the run."""
    old = pair.before.figures.get(name) if pair.before else None
    new = pair.after.figures.get(name) if pair.after else None
    known = new or old
    assert known is not None

    def made(outcome: Outcome, **fields: Any) -> FigureComparison:
        before, after = (one.value if one is not None and is_number(one) else None for one in (old, new))
        return FigureComparison(
            pair.name, pair.record.target, name, outcome, before, after, known.unit, known.trust, gate, **fields
        )

    if new is None or not is_number(new):
        return made(Outcome.NOT_RUN if not_run else Outcome.MISSING, reason=not_run or _why_missing(pair, new))
    if old is None or not is_number(old):
        return made(Outcome.NEW)
    if differs := _differences(pair, old, new, vary):
        return made(Outcome.NOT_COMPARABLE, differs=differs)
    if new.trust == Trust.MEASURED.value:
        found = _judged_by_noise(pair, name, gate or Gate(), past)
        why = "" if found.confirmation is None else f"{found.confirmation.outcome}: {found.confirmation.rule}"
        alarm = found.judgement.verdict is Verdict.WORSE and not found.regression
        outcome = Outcome.NOT_CONFIRMED if alarm else Outcome(found.judgement.verdict.value)
        wants = found.judgement.more_samples > 0 or why.startswith(Confirmed.NOT_MEASURED.value)
        return made(outcome, judgement=found.judgement, reason=why, wants_session=wants)
    judged = _judged_exactly(pair, old, new, gate or Gate())
    return made(Outcome(judged.verdict.value), judgement=judged)


def is_number(figure: FigureRecord) -> bool:
    """Returns whether a figure, and each of its repetitions, is a finite number."""
    return all(map(math.isfinite, (figure.value, *figure.repetitions)))


def _why_missing(pair: Pair, new: FigureRecord | None) -> str:
    if pair.after is None:
        return "no test ran this deployment"
    return "no test asked for it" if new is None else "the value is no finite number"


def _differences(pair: Pair, old: FigureRecord, new: FigureRecord, vary: Collection[str]) -> dict[str, tuple[str, str]]:
    """Returns what keeps two figures from being compared."""
    before, after = ({} if side is None else side.record.identity for side in (pair.before, pair.after))
    own = {"unit": (old.unit, new.unit), "trust": (old.trust, new.trust)}
    of_figure = {field: values for field, values in own.items() if values[0] != values[1]}
    return differences(new.name, before, after, vary) | of_figure


def _judged_exactly(pair: Pair, old: FigureRecord, new: FigureRecord, gate: Gate) -> Judgement:
    lower = lower_is_better(new.name, pair.record.identity)
    allowed = {"allowed": gate.absolute, "allowed_relative": gate.relative}
    return judge_exact(old.value, new.value, lower_is_better=lower, **allowed)


def _judged_by_noise(pair: Pair, name: str, gate: Gate, past: PastOf) -> SequentialJudgement:
    """Judges the run's first session, takes further ones while the verdict is unknown, and confirms an alarm."""
    known = past(pair, name)
    assert pair.before is not None
    assert pair.after is not None
    judge = partial(
        judge_measured,
        sessions_of(pair.before.figures, name),
        lower_is_better=lower_is_better(name, pair.record.identity),
        noise=known.noise,
        history=known.nights,
        since_baseline=known.since_baseline,
        allowed=gate.absolute,
        allowed_relative=gate.relative,
    )
    stored = iter(sessions_of(pair.after.figures, name))
    return judge_sequentially(judge, lambda: next(stored, None))


def session_name(figure: str, number: int) -> str:
    """Returns the name of a figure of a further session, from 2 on."""
    return f"{figure}{SESSION}{number}"


def sessions_of(figures: Mapping[str, FigureRecord], name: str) -> list[tuple[float, ...]]:
    """Returns the repetitions of a measured figure, session by session."""
    found = [figures[name]]
    while (further := figures.get(session_name(name, len(found) + 1))) is not None and is_number(further):
        found.append(further)
    return [one.repetitions or (one.value,) for one in found]
