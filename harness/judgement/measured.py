"""Judgement of measured figures: cycles and times of a board, which differ from run to run of one build.

    >>> baseline = [[1000.0], [1003.0], [999.0], [1001.0], [1004.0], [998.0], [1000.0], [1002.0], [997.0], [1001.0]]
    >>> found = judge_measured(baseline, [[1031.0, 1030.0, 1032.0]], lower_is_better=True)
    >>> str(found.verdict), f"{found.change:+g}, noise up to {found.threshold:.1f}"
    ('worse', '+30.5, noise up to 12.0')

The sample is a *session*, what runs between two resets of the board: repetitions in one session share what is common
to it, so their median counts once.  What noise leaves open of a change is

    half width = S * sqrt(SHARED + (1 - SHARED) * v(k) + v(m))

where S is the noise of one night (`history.spread`, or the calibrated pair while there are too few nights), k the
candidate's sessions, m the nights of what it is compared with, and v(n) the variance of the median of n, as a part of
that of one.  `SHARED` is the part of the variance that all sessions of one night have in common: more sessions in the
same night do not remove it.  A baseline counts as one night, however many sessions it has.

The candidate is compared with the frozen baseline, so that no creep is missed, and beside it with the median of the
history's latest nights, which is better known than the baseline.  The verdict is that on the baseline, unless the
latest nights give a graver one: worse, or unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hil.core.arrays import Array, Floats
from hil.harness.judgement.exact import allowance, require_finite
from hil.harness.judgement.history import ENOUGH_NIGHTS, FEWEST_NIGHTS, WINDOW, spread
from hil.harness.judgement.noise import FEWEST_SESSIONS, Noise, calibrate, session_medians
from hil.harness.judgement.verdict import Judgement, Verdict, relative_change

SHARED = 0.5
"""Part of the variance between nights that sessions of one night share."""

EXCLUDED = 1.5
"""Size of the step that `same` excludes, in half widths of one session."""

CRYSTAL = 1e-4
"""Least noise, as a fraction of the level: what two clocks within 50 ppm differ by."""

_GRAVITY = {Verdict.WORSE: 2, Verdict.UNKNOWN: 1, Verdict.SAME: 0, Verdict.BETTER: 0}


@dataclass(frozen=True)
class _Reference:
    """A level to compare with, the nights it is the median of, and its name in a rule."""

    level: float
    nights: int
    name: str


def judge_measured(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    *,
    lower_is_better: bool,
    noise: Noise | None = None,
    history: Sequence[float] = (),
    since_baseline: int | None = None,
    allowed: float = 0.0,
    allowed_relative: float = 0.0,
    most_samples: int = 0,
) -> Judgement:
    """Judges a measured figure by the repetitions of each session, of the baseline and of the candidate.

    `history` has one figure a night (the median of its first session), oldest first, without nights that were judged
    worse.  From `FEWEST_NIGHTS` on it tells the noise, before that `noise` does; without `noise`, a baseline of
    `FEWEST_SESSIONS` sessions calibrates itself, and with less than that the verdict is unknown.  Its latest
    `since_baseline` nights (None: all) came after the baseline was frozen: only these are a level to compare with.

    A change for the worse must exceed the allowance (the larger of `allowed`, in the figure's unit, and
    `allowed_relative`, a fraction of the baseline) by more than the noise.  An unknown verdict asks for one more
    session at a time, to be judged together with those before it, as long as `most_samples` is not 0.

    Raises BadInputError for a session without repetitions, what is no finite number, and a negative allowance.
    """
    medians, sessions = session_medians(baseline), session_medians(candidate)
    require_finite([float(value) for value in history])
    nights = np.array(history[-WINDOW:], dtype=np.float64)
    if noise is None and len(medians) >= FEWEST_SESSIONS:
        noise = calibrate(baseline)
    after = history[len(history) - min(len(history), since_baseline) :] if since_baseline is not None else history
    frozen = _Reference(_frozen_level(medians, after), 1, "the baseline")
    figure, allows = float(np.median(sessions)), allowance(frozen.level, allowed, allowed_relative)
    single, source = noise_of_night(frozen.level, history, noise)
    if single is None:
        change = figure - frozen.level
        return Judgement(
            Verdict.UNKNOWN, change, relative_change(change, frozen.level), None, None, float("inf"), source
        )
    references = [frozen]
    if len(after) >= FEWEST_NIGHTS:
        latest = nights[-len(after) :]
        references.append(_Reference(float(np.median(latest)), len(latest), f"the latest {len(latest)} nights"))
    direction = 1 if lower_is_better else -1
    found = [_against(reference, figure, len(sessions), single, allows, direction) for reference in references]
    judgement = max(found, key=lambda each: _GRAVITY[each.verdict])  # the first of equals: the baseline's
    more = min(1, most_samples) if judgement.verdict is Verdict.UNKNOWN else 0
    return replace(judgement, rule=f"{judgement.rule}: {source}", more_samples=more)


def half_width(single: Array | float, sessions: int, nights: int) -> Array:
    """Returns what noise leaves open of the change of a median of sessions against a median of nights."""
    share = SHARED + (1 - SHARED) * median_variance(sessions) + median_variance(nights)
    return np.asarray(single) * math.sqrt(share)


def decide(
    worse_by: Array | float, allows: float, single: Array | float, sessions: int, nights: int
) -> tuple[Array, Array]:
    """Returns where a change for the worse is worse, and where it is undecided; bool arrays of the inputs' shape."""
    half = half_width(single, sessions, nights)
    worse = worse_by - half > allows
    undecided = worse_by + half > allows + EXCLUDED * half_width(single, 1, nights)
    return worse, undecided & ~worse


def _against(
    reference: _Reference, figure: float, sessions: int, single: float, allows: float, direction: int
) -> Judgement:
    change = figure - reference.level
    half = float(half_width(single, sessions, reference.nights))
    worse, undecided = decide(direction * change, allows, single, sessions, reference.nights)
    verdict = Verdict.BETTER if direction * change + half < 0 else Verdict.SAME
    if worse:
        verdict = Verdict.WORSE
    elif undecided:
        verdict = Verdict.UNKNOWN
    relative, rule = relative_change(change, reference.level), f"against {reference.name}"
    return Judgement(verdict, change, relative, change - half, change + half, allows + half, rule)


def _frozen_level(medians: Floats, history: Sequence[float]) -> float:
    """Returns the baseline's level.

    A single session may be an outlier, and would then be wrong for ever: a baseline of few sessions is completed by the
    first nights after it.
    """
    first = history[: max(0, FEWEST_NIGHTS - len(medians))] if len(history) >= FEWEST_NIGHTS else ()
    return float(np.median([*medians, *first]))


def noise_of_night(level: float, history: Sequence[float], noise: Noise | None) -> tuple[float | None, str]:
    """Returns the noise of one night in the figure's unit (None: not known) and the rule it comes from.

    `history` and `noise` as for `judge_measured`.
    """
    nights = np.array(history[-WINDOW:], dtype=np.float64)
    least = CRYSTAL * abs(level)
    pair = 0.0 if noise is None else noise.threshold(level)
    own = float(spread(nights)) if len(nights) >= FEWEST_NIGHTS else 0.0
    if len(nights) >= FEWEST_NIGHTS and (own >= pair or len(nights) >= ENOUGH_NIGHTS):
        return max(own, least), f"third quartile + 3 interquartile ranges of {len(nights)} nights"
    if noise is not None:
        return max(pair, least), f"{noise}, of {noise.sessions} calibration runs"
    return None, f"noise is not known: no calibration, and {len(nights)} of {FEWEST_NIGHTS} nights"


def median_variance(count: int) -> float:
    """Returns the variance of the median of `count` normal values as a part of that of one, from above."""
    return 1 / count if count <= 2 else 1.5 / count
