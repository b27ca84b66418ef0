"""Noise of a measured figure in the exchanges, below which no share of its change is named.

    noise_of = stored_noise(results, run_id, baseline_id, sessions=3)
    noise = noise_of(pair, "npu_cycles")        # FigureNoise(31.0, "0.05 % and 31 units, of 20 calibration runs", 3)
    noise.hides(Fraction(30), spread=1.0)       # False: 22 cycles may be noise

The noise is that of a night (`judgement.measured`): calibrated, or the history's own.  Exchanges of one night share
part of it, which their differences do not have; how much is not known, so they are taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from hil.harness.attribution.selection import DeploymentPair
from hil.harness.comparison.pairing import Pair
from hil.harness.comparison.stored_runs import past_of
from hil.harness.judgement.measured import median_variance, noise_of_night
from hil.harness.results.results import Results


@dataclass(frozen=True)
class FigureNoise:
    """Noise of a night in the figure's unit (None: not known), the rule that it comes from, sessions of an exchange."""

    night: float | None
    rule: str
    sessions: int = 1

    def bound(self, spread: float, recorded: int = 0) -> float | None:
        """Returns the noise of a sum of exchanges of this spread (`PartShare.spread`) and of recorded figures."""
        if self.night is None:
            return None
        return self.night * math.sqrt(spread**2 * median_variance(self.sessions) + recorded)

    def hides(self, change: Fraction, spread: float, recorded: int = 0) -> bool:
        """Returns whether such a sum may be noise alone, or the noise is not known."""
        bound = self.bound(spread, recorded)
        return bound is None or abs(change) <= bound


NoiseOf = Callable[[DeploymentPair, str], FigureNoise]
"""Returns the noise of a measured figure."""


def unknown_noise(_pair: DeploymentPair, _figure: str) -> FigureNoise:
    """The noise where no earlier run tells it."""
    return FigureNoise(None, "noise is not known")


def stored_noise(results: Results, run_id: str, baseline_id: str, sessions: int = 1) -> NoiseOf:
    """Returns the noise that earlier runs tell, of the runs that may be compared with the baseline.

    An exchange has the median of that many sessions.
    """
    past = past_of(results, run_id, baseline_id)

    def of(pair: DeploymentPair, figure: str) -> FigureNoise:
        known = past(Pair(pair.name, pair.before, None), figure)
        return FigureNoise(*noise_of_night(pair.before.figures[figure].value, known.nights, known.noise), sessions)

    return of
