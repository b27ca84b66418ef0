"""Judgement of exact figures: bytes, mismatches, modelled cycles, accuracy on fixed samples.

    >>> judge_exact(59_636, 59_640, lower_is_better=True).rule
    'exact: any change for the worse counts'

Such a figure has no noise, so any change is real: it is in `change` even where the verdict is `same` because a gate
allows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hil.core.errors import BadInputError
from hil.harness.judgement.e_divisive import ChangePoint
from hil.harness.judgement.verdict import Judgement, Verdict, relative_change


def judge_exact(
    baseline: float,
    candidate: float,
    *,
    lower_is_better: bool,
    allowed: float = 0.0,
    allowed_relative: float = 0.0,
) -> Judgement:
    """Judges one exact figure; a change for the worse beyond the allowance is worse, any for the better is better.

    `allowed` is in the figure's unit and `allowed_relative` a fraction of the baseline; the larger of both counts.
    Raises BadInputError for a figure that is no finite number and for a negative allowance.
    """
    require_finite([baseline, candidate])
    threshold = allowance(baseline, allowed, allowed_relative)
    change = candidate - baseline
    worse_by = change if lower_is_better else -change
    verdict = Verdict.BETTER if worse_by < 0 else Verdict.SAME
    if worse_by > threshold:
        verdict = Verdict.WORSE
    rule = "exact: any change for the worse counts"
    if threshold:
        rule = f"exact: worse beyond the allowed {threshold:g}"
    return Judgement(verdict, change, relative_change(change, baseline), None, None, threshold, rule)


def exact_changes(series: Sequence[float]) -> list[ChangePoint]:
    """Returns the change points of a series without noise: every night whose figure is not that of the night before."""
    values = np.asarray(series, dtype=np.float64)
    positions = np.flatnonzero(np.diff(values)) + 1
    return [ChangePoint(int(at), float(values[at - 1]), float(values[at]), 0.0) for at in positions]


def allowance(baseline: float, allowed: float, allowed_relative: float) -> float:
    """Returns the change for the worse that a gate allows, in the figure's unit: the larger of both allowances."""
    if not (allowed >= 0 and allowed_relative >= 0):
        raise BadInputError(f"allowances are not negative, but these are {allowed:g} and {allowed_relative:g}")
    return max(allowed, allowed_relative * abs(baseline))


def require_finite(figures: list[float]) -> None:
    """Raises BadInputError if a figure is NaN or infinite."""
    for figure in figures:
        if not math.isfinite(figure):
            raise BadInputError(f"a figure to judge is {figure}, which is no finite number")
