"""Measured figures: verdicts by known noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.harness.judgement import Judgement, Noise, Verdict, judge_measured

NOISE = Noise(relative=0.01, units=5, sessions=10)
"""Of a figure of 1,000: up to 10."""


def judge(candidate: list[list[float]], **settings: Any) -> Judgement:
    return judge_measured([[1000.0]], candidate, **{"lower_is_better": True, "noise": NOISE, **settings})


def nights(count: int = 40, size: float = 1.0) -> list[float]:
    return [float(value) for value in 1000 + size * np.random.default_rng(11).standard_normal(count)]


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (1015, Verdict.WORSE),  # two sessions of one night's noise each: 10 * sqrt(2)
        (1014, Verdict.UNKNOWN),
        (1008, Verdict.UNKNOWN),
        (1007, Verdict.SAME),
        (1000, Verdict.SAME),
        (986, Verdict.SAME),
        (985, Verdict.BETTER),
    ],
)
def test_thresholds_of_a_calibrated_pair(figure: float, verdict: Verdict) -> None:
    found = judge([[figure]], most_samples=3)
    assert found.verdict is verdict
    assert found.threshold == pytest.approx(10 * 2**0.5)
    assert (found.low, found.high) == (
        pytest.approx(figure - 1000 - found.threshold),
        pytest.approx(figure - 1000 + found.threshold),
    )
    assert found.more_samples == (verdict is Verdict.UNKNOWN)


def test_unknown_asks_for_no_more_than_is_left() -> None:
    assert judge([[1012]], most_samples=0).more_samples == 0
    assert judge([[1012]], most_samples=1).more_samples == 1


def test_more_sessions_decide_what_one_does_not_and_repetitions_do_not() -> None:
    assert judge([[1013.0]]).verdict is Verdict.UNKNOWN
    assert judge([[1013.0] * 100]).verdict is Verdict.UNKNOWN
    assert judge([[1013.0]] * 4).verdict is Verdict.WORSE


def test_the_allowance_is_exceeded_by_more_than_the_noise() -> None:
    assert judge([[1030]], allowed=20).verdict is not Verdict.WORSE
    assert judge([[1035]], allowed=20).verdict is Verdict.WORSE
    assert judge([[1035]], allowed=5, allowed_relative=0.03).verdict is not Verdict.WORSE


def test_without_known_noise_the_verdict_is_unknown_and_says_why() -> None:
    found = judge([[2000.0]], noise=None, history=nights(11), most_samples=3)
    assert (found.verdict, found.more_samples, found.low) == (Verdict.UNKNOWN, 0, None)
    assert "11 of 12 nights" in found.rule


def test_a_baseline_of_many_sessions_calibrates_itself() -> None:
    baseline = [[value] for value in nights(10)]
    assert judge_measured(baseline, [[1010.0]], lower_is_better=True).verdict is Verdict.WORSE
    assert judge_measured(baseline[:9], [[1010.0]], lower_is_better=True).verdict is Verdict.UNKNOWN


def test_an_outlier_in_the_history_does_not_blind_it() -> None:
    history = nights()
    history[30] = 5000.0
    assert judge([[1010.0]], history=history).verdict is Verdict.WORSE


def test_a_creeping_history_does_not_hide_a_step() -> None:
    creeping = [value + 0.3 * number for number, value in enumerate(nights())]
    assert judge([[1012.0 + 10]], history=creeping).verdict is Verdict.WORSE


def test_a_creep_is_found_against_the_frozen_baseline() -> None:
    creeping = [value + 0.1 * number for number, value in enumerate(nights(200))]
    found = judge([[1020.0]], history=creeping)
    assert found.verdict is Verdict.WORSE
    assert "the baseline" in found.rule


def test_a_step_behind_an_improvement_is_found_against_the_latest_nights() -> None:
    improved = [*nights(12), *(value - 30 for value in nights(60))]
    found = judge([[982.0]], history=improved)
    assert found.verdict is Verdict.WORSE
    assert "latest 60 nights" in found.rule


def test_a_baseline_of_one_unlucky_session_is_not_wrong_for_ever() -> None:
    assert judge_measured([[960.0]], [[1000.5]], lower_is_better=True, history=nights()).verdict is Verdict.SAME


@pytest.mark.parametrize("since", [0, 5, 15])
def test_nights_before_the_baseline_tell_the_noise_but_no_level(since: int) -> None:
    """A step that was accepted by a new baseline."""
    history = [*(value - 30 for value in nights(40)), *nights(since)]
    known = {"lower_is_better": True, "history": history, "since_baseline": since}
    assert judge_measured([[1000.5]], [[1000.0]], **known).verdict is Verdict.SAME
    assert judge_measured([[1000.5]], [[1012.0]], **known).verdict is Verdict.WORSE


def test_a_history_without_any_noise_still_allows_for_two_clocks() -> None:
    same = [59_636.0] * 20
    found = [
        judge_measured([[59_636.0]], [[value]], lower_is_better=True, history=same).verdict
        for value in (59_637.0, 59_660.0)
    ]
    assert found == [Verdict.SAME, Verdict.WORSE]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.floats(-10, 10), st.floats(0.1, 10))
def test_verdicts_mirror_with_the_direction_and_do_not_know_the_unit(
    seed: int, count: int, step: float, unit: float
) -> None:
    random = np.random.default_rng(seed)
    baseline, candidate = 100 + random.standard_normal((10, 3)), 100 + step + random.standard_normal((2, 3))
    history = 100 + random.standard_normal(count)

    def judged(sign: float) -> Judgement:
        return judge_measured(
            (sign * unit * baseline).tolist(),
            (sign * unit * candidate).tolist(),
            lower_is_better=sign > 0,
            history=(sign * unit * history).tolist(),
            most_samples=2,
        )

    one, mirrored = judged(1), judged(-1)
    assert (one.verdict, one.more_samples) == (mirrored.verdict, mirrored.more_samples)
    assert one.change == pytest.approx(-mirrored.change)
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.change < one.high
    if one.verdict is Verdict.WORSE:
        assert one.low > 0
    if one.verdict is Verdict.BETTER:
        assert one.high < 0


@pytest.mark.parametrize(
    "sessions", [[], [[]], [[1000.0], [float("nan")]]], ids=["no session", "no repetition", "no number"]
)
def test_missing_samples_are_an_error_not_a_verdict(sessions: list[list[float]]) -> None:
    with pytest.raises(BadInputError):
        judge(sessions)
