"""Noise of a measured figure, calibrated by runs of one build against itself.

    >>> runs = [[1000.0 + offset] for offset in (0, 4, -3, 2, 6, -5, 1, 0, -2, 3)]
    >>> print(calibrate(runs))
    1.3 % and 13.3 units

The rule is that of tt-metal's gate on device cycles (tenstorrent/tt-metal issue 53763): a change counts only if it
exceeds both X % *and* N units, where (X, N) is the smallest pair that no two runs of the same build exceed.

Many pairs are smallest in that sense: raise N, and X may fall to the largest relative difference of the runs that
still differ by more than N units.  They form a staircase, the Pareto front.  Its ends are poor choices where several
figures share a pair: X alone (N = 0) takes the many per cent of a small figure that moved by a few units as the noise
of a large one, N alone (X = 0) takes the many units of a large figure as that of a small one.  Chosen is the pair of
the front whose thresholds, each as a fraction of its figure's level, have the smallest geometric mean over the figures.
Each part is then raised as far as no figure's threshold rises with it.  So one figure, whose front has little more than
the two ends, gets both parts, and either holds when its level moves later.

Few sessions seldom show the largest difference that many would.  So the pair of fewer than `ENOUGH_SESSIONS` is widened
by the ratio of the ranges that so many normal values and these are expected to have, 1.21 for 10 sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.judgement.exact import require_finite

FEWEST_SESSIONS = 10
"""Sessions below which no pair is claimed (`docs/regression.md` has the false alarms that 5 would give)."""

ENOUGH_SESSIONS = 20
"""Sessions from which on their pair is taken as it is."""

_RANGES = (3.078, 3.173, 3.258, 3.336, 3.407, 3.472, 3.532, 3.588, 3.640, 3.689, 3.735)
"""Expected range of 10 to 20 normal values in standard deviations: d2 of control charts (ASTM MNL 7A, table 49)."""

_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Noise:
    """The pair (`relative`, a fraction, and `units`) that no two of `sessions` runs of one build exceeded both.

    Of fewer than `ENOUGH_SESSIONS`, it is widened.
    """

    relative: float
    units: float
    sessions: int

    def __str__(self) -> str:
        return f"{100 * self.relative:.2g} % and {float(f'{self.units:.3g}'):,g} units"

    def threshold(self, baseline: float) -> float:
        """Returns the change, in the figure's unit, up to which noise alone explains it."""
        return max(self.relative * abs(baseline), self.units)


def calibrate(sessions: Sequence[Sequence[float]]) -> Noise:
    """Returns the noise of one figure from runs of one build: its repetitions in each session.

    Raises BadInputError below `FEWEST_SESSIONS` sessions, for a session without repetitions, and for what is no number.
    """
    return calibrate_together([sessions])


def calibrate_together(figures: Sequence[Sequence[Sequence[float]]]) -> Noise:
    """Returns one pair for several figures (such as the cycles of several models), each given as to `calibrate`."""
    medians = [session_medians(sessions) for sessions in figures]
    fewest = min((len(values) for values in medians), default=0)
    if fewest < FEWEST_SESSIONS:
        raise BadInputError(f"{fewest} sessions of one build tell no noise", hint=f"at least {FEWEST_SESSIONS} do")
    levels = np.array([max(abs(float(np.median(values))), _TINY) for values in medians])

    def thresholds(pair: tuple[float, float]) -> Array:
        return np.maximum(pair[0] * levels, pair[1])

    def mean(pair: tuple[float, float]) -> float:
        return float(np.log(np.maximum(thresholds(pair), _TINY) / levels).mean())

    relative, units = min(_pareto_front(medians), key=mean)
    chosen = thresholds((relative, units))
    wide = widening(fewest)
    return Noise(wide * max(relative, float((chosen / levels).min())), wide * max(units, float(chosen.min())), fewest)


def widening(sessions: int) -> float:
    """Returns the factor by which the pair of so many sessions is widened."""
    return _RANGES[-1] / _RANGES[min(max(sessions, FEWEST_SESSIONS), ENOUGH_SESSIONS) - FEWEST_SESSIONS]


def session_medians(sessions: Sequence[Sequence[float]]) -> Array:
    """Returns the median of each session's repetitions, (sessions,) float64.

    Raises BadInputError without a session, for a session without repetitions and for what is no finite number.
    """
    if not len(sessions):
        raise BadInputError("a figure to judge has no session")
    for repetitions in sessions:
        if not len(repetitions):
            raise BadInputError("a session to judge has no repetitions")
        require_finite([float(value) for value in repetitions])
    return np.array([np.median(repetitions) for repetitions in sessions], dtype=np.float64)


def _pareto_front(figures: Sequence[Array]) -> list[tuple[float, float]]:
    """Returns the pairs (relative, units) of which neither part can be smaller, from N = 0 to X = 0."""
    differences = []
    for values in figures:
        for one, other in combinations(values.tolist(), 2):
            units, level = abs(one - other), min(abs(one), abs(other))
            differences.append((units, units / level if level else float("inf")))
    differences.sort(reverse=True)
    front: list[tuple[float, float]] = []
    relative = 0.0
    for units, share in differences:  # with N = units, only the pairs before this one need X
        if not front or relative > front[-1][0]:
            front.append((relative, units))
        else:
            front[-1] = (relative, units)
        relative = max(relative, share)
    if np.isfinite(relative):
        front.append((relative, 0.0))
    return front
