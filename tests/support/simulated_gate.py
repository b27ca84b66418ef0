"""The gate on measured figures over many drawn series at once: calibration, nights, more samples, confirmation.

The decisions are the package's own, on arrays; `tests/harness/judgement/test_simulated_rates.py` compares them with
`judge_sequentially` on one series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array, Floats, Integers
from hil.harness.judgement.confirmation import SESSIONS
from hil.harness.judgement.history import ENOUGH_NIGHTS, FEWEST_NIGHTS, WINDOW, spread
from hil.harness.judgement.measured import decide
from hil.harness.judgement.noise import widening
from hil.harness.judgement.sequential import MOST_SAMPLES

Draw = Callable[[Integers], Floats]
"""Figures of a new session of each of the series with these numbers."""


@dataclass(frozen=True)
class GateNight:
    """A night of all series: alarms that were raised, confirmed and left unknown (bool), figures, further sessions."""

    raised: Array
    confirmed: Array
    unknown: Array
    figures: Floats
    further: int


class SimulatedGate:
    """A gate for many series; `calibration` has the figures of sessions of one build, (sessions, series).

    The first `baseline` of them are the frozen baseline.
    """

    def __init__(self, calibration: Floats, baseline: int, most_samples: int = MOST_SAMPLES) -> None:
        self._pair = widening(len(calibration)) * np.ptp(calibration, axis=0)
        self._baseline = calibration[:baseline]
        self._most_samples = most_samples

    def night(self, history: Floats, draw: Draw) -> GateNight:
        """Judges a night; `history` is (series, nights).  A regression's figure is its level's: it is no history."""
        count, nights = history.shape
        single = self._pair if nights < FEWEST_NIGHTS else spread(history)
        if nights < ENOUGH_NIGHTS:
            single = np.maximum(single, self._pair)
        first = history[:, : max(0, FEWEST_NIGHTS - len(self._baseline))].T if nights >= FEWEST_NIGHTS else []
        levels = [(np.median([*self._baseline, *first], axis=0), 1)]
        if nights >= FEWEST_NIGHTS:
            latest = history[:, -WINDOW:]
            levels.append((np.median(latest, axis=1), latest.shape[1]))
        everyone = np.arange(count)
        figures = draw(everyone)
        raised, unknown, further = self._judge(everyone, figures, draw, levels, single)
        confirmed = raised.copy()
        for _ in range(SESSIONS):
            left = np.flatnonzero(confirmed)
            worse, _, more = self._judge(left, draw(left), draw, levels, single)
            confirmed[left] = worse
            further += len(left) + more
        return GateNight(raised, confirmed, unknown, np.where(confirmed, levels[-1][0], figures), further)

    def _judge(
        self, which: Integers, figures: Floats, draw: Draw, levels: list[tuple[Floats, int]], single: Floats
    ) -> tuple[Array, Array, int]:
        """Returns which series are worse and which unknown, and how many sessions were drawn beside the first."""
        worse, unknown = np.zeros(len(which), bool), np.zeros(len(which), bool)
        left, sessions, further = np.arange(len(which)), figures[:, None], 0
        while len(left):
            is_worse, is_open = np.zeros(len(left), bool), np.zeros(len(left), bool)
            of = which[left]
            for level, nights in levels:
                change = np.median(sessions, axis=1) - level[of]
                over, undecided = decide(change, 0.0, single[of], sessions.shape[1], nights)
                is_worse |= over
                is_open |= undecided
            worse[left[is_worse]] = True
            is_open &= ~is_worse
            if sessions.shape[1] > self._most_samples:
                unknown[left[is_open]] = True
                break
            left, sessions = left[is_open], sessions[is_open]
            further += len(left)
            sessions = np.column_stack([sessions, draw(which[left])])
        return worse, unknown, further
