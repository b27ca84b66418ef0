"""The course of a judgement: sessions while unknown, sessions to confirm, an end in any case."""

from __future__ import annotations

from functools import partial

import pytest

from hil.harness.judgement import Noise, Outcome, SequentialJudgement, Verdict, judge_measured, judge_sequentially

JUDGE = partial(
    judge_measured, [[1000.0]], lower_is_better=True, noise=Noise(relative=0.01, units=5, sessions=10)
)  # same up to 1,007, worse from 1,014.2


def course(*figures: float | None, most_samples: int = 3) -> SequentialJudgement:
    left = iter(figures)
    return judge_sequentially(
        JUDGE, lambda: None if (figure := next(left)) is None else [figure], most_samples=most_samples
    )


@pytest.mark.parametrize(
    ("figures", "verdict", "outcome"),
    [
        ((1001.0,), Verdict.SAME, None),
        ((980.0,), Verdict.BETTER, None),
        ((1030.0, 1030.0, 1030.0), Verdict.WORSE, Outcome.CONFIRMED),
        ((1030.0, 1001.0), Verdict.WORSE, Outcome.NOT_CONFIRMED),
        ((1030.0, 1030.0, 1001.0), Verdict.WORSE, Outcome.NOT_CONFIRMED),
        ((1030.0, None), Verdict.WORSE, Outcome.NOT_MEASURED),
        ((1010.0, 1002.0), Verdict.SAME, None),  # the median of both
        ((1013.0, 1016.0, 1030.0, 1030.0), Verdict.WORSE, Outcome.CONFIRMED),
        ((1030.0, 1011.0, 1000.0), Verdict.WORSE, Outcome.NOT_CONFIRMED),  # the second asked for one more
        ((1010.5, 1010.5, 1010.5, 1010.5), Verdict.UNKNOWN, None),
        ((1010.0, None), Verdict.UNKNOWN, None),
    ],
)
def test_course(figures: tuple[float | None, ...], verdict: Verdict, outcome: Outcome | None) -> None:
    found = course(*figures)
    assert found.judgement.verdict is verdict
    assert (found.confirmation and found.confirmation.outcome) == outcome
    assert len(found.sessions) == sum(figure is not None for figure in figures)
    assert found.regression == (outcome in (Outcome.CONFIRMED, Outcome.NOT_MEASURED))


def test_no_sample_is_asked_for_where_none_is_allowed() -> None:
    assert len(course(1010.0, most_samples=0).sessions) == 1


def test_a_missing_figure_is_not_judged() -> None:
    with pytest.raises(ValueError, match="no session"):
        course(None)
