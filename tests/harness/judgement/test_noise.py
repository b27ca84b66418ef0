"""Calibrated noise: the smallest pair that runs of one build never exceed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.harness.judgement import calibrate, calibrate_together
from hil.harness.judgement.noise import FEWEST_SESSIONS, widening

figure = st.lists(st.lists(st.integers(900, 1100), min_size=1, max_size=5), min_size=10, max_size=14)


def exceed(figures: list[list[list[int]]], relative: float, units: float) -> bool:
    """Returns whether any two runs of one figure differ by more than both parts."""
    for sessions in figures:
        for one, other in combinations([float(np.median(session)) for session in sessions], 2):
            difference = abs(one - other)
            if difference > units and difference / min(one, other) > relative:
                return True
    return False


@settings(deadline=None, max_examples=40)
@given(st.lists(figure, min_size=1, max_size=3))
def test_no_two_runs_exceed_the_pair_and_some_exceed_a_smaller_one(figures: list[list[list[int]]]) -> None:
    noise = calibrate_together(figures)
    assert not exceed(figures, noise.relative, noise.units)
    if noise.units:
        levels = [float(np.median([np.median(session) for session in sessions])) for sessions in figures]
        smaller = 0.85 / widening(noise.sessions) * min(noise.units, noise.relative * min(levels))
        assert exceed(figures, smaller / max(levels), smaller)


def test_one_noisy_small_figure_does_not_widen_the_large_one() -> None:
    """A small figure that moves by 3 of 20 cycles, a large one by 475 of 100,000: neither 15 % nor 475 cycles."""
    small = [[20 + number % 4] for number in range(20)]
    large = [[100_000 + 25 * number] for number in range(20)]
    noise = calibrate_together([small, large])

    assert (noise.units, noise.relative) == (3, pytest.approx(475 / 100_000))
    assert noise.threshold(20) == 3
    assert noise.threshold(100_000) == pytest.approx(475)


def test_one_figure_gets_both_parts() -> None:
    noise = calibrate([[1000 + number / 2] for number in range(20)])
    assert (noise.units, round(noise.relative, 5), noise.sessions) == (9.5, 0.00946, 20)


def test_few_sessions_are_widened_by_the_range_that_twenty_would_have() -> None:
    draw = np.random.default_rng(0).standard_normal((4000, 20))
    for sessions in (10, 15, 20):
        expected = np.ptp(draw, axis=1).mean() / np.ptp(draw[:, :sessions], axis=1).mean()
        assert widening(sessions) == pytest.approx(expected, rel=0.02)
    assert calibrate([[1000 + number] for number in range(10)]).units == pytest.approx(9 * widening(10))
    assert widening(100) == 1


def test_a_build_without_noise_has_none() -> None:
    noise = calibrate([[59_636]] * FEWEST_SESSIONS)
    assert (noise.relative, noise.units) == (0, 0)


@pytest.mark.parametrize("sessions", [[[1.0]] * (FEWEST_SESSIONS - 1), [[1.0]] * 9 + [[]], [[1.0]] * 9 + [[np.nan]]])
def test_too_few_empty_or_broken_sessions_claim_no_pair(sessions: list[list[float]]) -> None:
    with pytest.raises(BadInputError):
        calibrate(sessions)
