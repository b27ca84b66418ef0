"""The gate over drawn nights with known truth: false alarms and steps found, with fixed seeds.

`benchmarks.regression_rules` measures the rates; this small part of it fails if the rule gets much worse.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from hil.core.arrays import Floats
from hil.harness.judgement import calibrate, judge_measured, judge_sequentially
from tests.support.drawn_nights import NOISES, DrawnNights
from tests.support.simulated_gate import SimulatedGate

SERIES = 300


def nights_before(drawn: DrawnNights, count: int) -> tuple[Floats, Floats]:
    """Draws ten calibration sessions, (10, series), and the nights of a history, (series, count)."""
    everyone = np.arange(drawn.series)
    calibration = np.array([drawn.session(everyone) for _ in range(10)])
    history = []
    for _ in range(count):
        drawn.next_night()
        history.append(drawn.session(everyone))
    return calibration, np.array(history).T


@pytest.mark.parametrize("noise", NOISES)
def test_noise_has_the_size_it_is_said_to_have(noise: str) -> None:
    _, history = nights_before(DrawnNights(noise, 2000, np.random.default_rng(1)), 60)
    assert history.mean() == pytest.approx(0, abs=0.03)
    assert history.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("noise", NOISES)
def test_steps_of_six_times_the_noise_are_found_and_nothing_else_is(noise: str) -> None:
    drawn = DrawnNights(noise, SERIES, np.random.default_rng(2))
    calibration, history = nights_before(drawn, 40)
    gate = SimulatedGate(calibration, 10)
    false = 0
    for _ in range(20):
        drawn.next_night()
        night = gate.night(history, drawn.session)
        false += int(night.confirmed.sum())
        history = np.column_stack([history, night.figures])
    found = np.zeros(SERIES, bool)
    for _ in range(3):
        drawn.next_night()
        found |= gate.night(history, partial(drawn.session, step=6)).confirmed
    assert false <= 1
    assert found.mean() > 0.93


def test_the_simulation_decides_as_the_gate_does() -> None:
    """The same sessions, in the same order, for one series at a time."""
    alarms = 0
    for seed in range(36):
        for count in (8, 15, 45):
            drawn = DrawnNights(NOISES[seed % 6], 1, np.random.default_rng(seed))
            calibration, history = (10_000 + 10 * part for part in nights_before(drawn, count))
            sessions = [10_000 + 10 * drawn.session(np.arange(1), step=seed / 5) for _ in range(12)]
            simulated, judged = iter(sessions), iter(sessions)
            night = SimulatedGate(calibration, 10).night(
                history, lambda which, left=simulated: next(left) if len(which) else np.zeros(0)
            )
            baseline = calibration.tolist()
            judge = partial(
                judge_measured, baseline, lower_is_better=True, history=history[0].tolist(), noise=calibrate(baseline)
            )
            found = judge_sequentially(judge, lambda left=judged: next(left).tolist())
            assert found.regression == night.confirmed[0], (seed, count)
            assert len(found.sessions) == 1 + night.further, (seed, count)
            alarms += found.regression
    assert 20 < alarms < 100
