"""Exact figures: any change counts, in the direction of its metric."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.harness.judgement import Verdict, judge_exact

figures = st.integers(-(10**9), 10**9)


@settings(deadline=None)
@given(figures, figures)
def test_a_change_is_worse_in_one_direction_and_better_in_the_other(baseline: int, candidate: int) -> None:
    lower = judge_exact(baseline, candidate, lower_is_better=True)
    higher = judge_exact(baseline, candidate, lower_is_better=False)

    assert lower.change == higher.change == candidate - baseline
    if candidate == baseline:
        assert lower.verdict is higher.verdict is Verdict.SAME
    else:
        assert {lower.verdict, higher.verdict} == {Verdict.WORSE, Verdict.BETTER}
        assert (lower.verdict is Verdict.WORSE) == (candidate > baseline)


@pytest.mark.parametrize(
    ("candidate", "allowed", "allowed_relative", "verdict"),
    [
        (1001, 0, 0, Verdict.WORSE),
        (1010, 10, 0, Verdict.SAME),
        (1011, 10, 0, Verdict.WORSE),
        (1020, 10, 0.02, Verdict.SAME),  # the larger allowance counts
        (1021, 10, 0.02, Verdict.WORSE),
        (999, 10, 0.02, Verdict.BETTER),
    ],
)
def test_a_change_beyond_both_allowances_is_worse(
    candidate: int, allowed: float, allowed_relative: float, verdict: Verdict
) -> None:
    found = judge_exact(1000, candidate, lower_is_better=True, allowed=allowed, allowed_relative=allowed_relative)
    assert (found.verdict, found.change) == (verdict, candidate - 1000)


def test_first_mismatch_is_infinitely_worse() -> None:
    found = judge_exact(0, 1, lower_is_better=True, allowed_relative=0.5)
    assert (found.verdict, found.relative) == (Verdict.WORSE, float("inf"))


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_what_is_no_number_is_an_error_not_a_pass(figure: float) -> None:
    with pytest.raises(BadInputError, match="no finite number"):
        judge_exact(1000, figure, lower_is_better=True)


def test_a_negative_allowance_is_an_error() -> None:
    with pytest.raises(BadInputError, match="not negative"):
        judge_exact(1000, 1000, lower_is_better=True, allowed=-1)
