"""Judgement of measured figures: the change against the noise that repetitions in one session do not show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.harness.judgement.exact import allowance, require_finite
from hil.harness.judgement.history import FEWEST_NIGHTS, WINDOW, spread
from hil.harness.judgement.noise import FEWEST_SESSIONS, Noise, calibrate, session_medians
from hil.harness.judgement.verdict import Judgement, Verdict, relative_change

BLIND_TO = 1.5
"""Size of a step, in thresholds of one session, that `same` excludes."""


def judge_measured(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    *,
    lower_is_better: bool,
    noise: Noise | None = None,
    history: Sequence[float] = (),
    allowed: float = 0.0,
    allowed_relative: float = 0.0,
    most_samples: int = 0,
) -> Judgement:
    """Judges a measured figure from the repetitions of each session, of the baseline and of the candidate.

    A session is what runs between two resets of the board; a sample is the median of one session.
    """
    before, after = session_medians(baseline), session_medians(candidate)
    require_finite([float(value) for value in history])
    level = float(np.median(before))
    change = float(np.median(after)) - level
    relative = relative_change(change, level)
    allows = allowance(level, allowed, allowed_relative)
    if noise is None and len(baseline) >= FEWEST_SESSIONS:
        noise = calibrate(baseline)
    if len(history) >= FEWEST_NIGHTS:
        single = float(spread(np.array(history[-WINDOW:])))
        rule = f"third quartile + 3 interquartile ranges of {len(history[-WINDOW:])} nights"
    elif noise is not None:
        single = noise.threshold(level)
        rule = f"calibrated noise: {noise.relative:.2%} and {noise.units:g} units, of {noise.sessions} sessions"
    else:
        rule = f"noise not calibrated, and {len(history)} of {FEWEST_NIGHTS} nights"
        return Judgement(Verdict.UNKNOWN, change, relative, None, None, float("inf"), rule)
    half = single * float(np.sqrt(1 / len(after) + 1 / len(before)))
    worse_by = change if lower_is_better else -change
    more = 0
    if worse_by - half > allows:
        verdict = Verdict.WORSE
    elif worse_by + half < 0:
        verdict = Verdict.BETTER
    elif worse_by + half > allows + BLIND_TO * single:
        verdict = Verdict.UNKNOWN
        more = min(1, most_samples)
    else:
        verdict = Verdict.SAME
    return Judgement(verdict, change, relative, change - half, change + half, allows + half, rule, more)
