"""Change points in retrospect, and those that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.arrays import Floats
from hil.harness.judgement import Acknowledged, ChangePoint, change_points, unacknowledged
from hil.harness.judgement.e_divisive import _best_split

NIGHTS = [f"2026-{1 + number // 28:02}-{1 + number % 28:02}" for number in range(120)]


def series(*levels: float, nights: int = 40, seed: int = 5) -> Floats:
    """Returns `nights` of each level, with a noise of 1."""
    noise = np.random.default_rng(seed).standard_normal(nights * len(levels))
    return np.repeat(levels, nights) + noise


@pytest.mark.parametrize(
    "levels", [(100, 103), (103, 100), (100, 103, 100), (100, 102, 105)], ids=["worse", "better", "mended", "twice"]
)
def test_each_change_of_level_is_found_at_its_night(levels: tuple[float, ...]) -> None:
    found = change_points(series(*levels))
    assert [point.position for point in found] == pytest.approx([40 * n for n in range(1, len(levels))], abs=1)
    assert [point.before for point in found] == pytest.approx(levels[:-1], abs=0.5)
    assert [point.after for point in found] == pytest.approx(levels[1:], abs=0.5)


def test_a_regression_of_twenty_nights_in_a_year_is_found() -> None:
    values = series(*[100] * 9)
    values[200:220] += 3
    assert [point.position for point in change_points(values)] == pytest.approx([200, 220], abs=1)


def test_exact_figures_change_where_they_change() -> None:
    values = [59_636] * 30 + [59_640] * 12
    assert change_points(values) == [ChangePoint(30, 59_636, 59_640, 0.0)]


def test_none_is_found_where_there_is_none() -> None:
    assert sum(len(change_points(series(100, nights=120, seed=seed))) for seed in range(40)) <= 1
    assert change_points([100.0] * 365) == change_points([]) == change_points(range(19)) == []


@pytest.mark.parametrize("unit", [1e307, 1e-310])
def test_very_large_and_small_figures_are_numbers_too(unit: float) -> None:
    values = np.random.default_rng(0).normal(5, 0.01, 40) + (np.arange(40) >= 20)
    (found,) = change_points(values * unit)
    assert (found.position, found.after / found.before) == (20, pytest.approx(1.2, rel=0.01))


def test_fewer_nights_than_ten_on_a_side_are_no_change() -> None:
    values = [100] * 30 + [110] * 4
    assert change_points(values) == []
    assert [point.position for point in change_points(values, fewest=4)] == [30]


def test_a_change_below_the_smallest_is_left_out() -> None:
    assert change_points(series(100, 103), smallest=0.05) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(8, 24), st.floats(0.5, 100), st.floats(-1000, 1000))
def test_the_split_is_the_best_by_the_definition_in_any_unit(seed: int, count: int, unit: float, zero: float) -> None:
    values = np.random.default_rng(seed).standard_t(3, count)
    best = max(
        (
            (_statistic(values[:split], values[split:end]), split, end)
            for split in range(4, count - 3)
            for end in range(split + 4, count + 1)
        ),
    )
    assert _best_split(values, 4) == best[1:]
    assert _best_split(zero + unit * values, 4) == best[1:]


def _statistic(before: Floats, after: Floats) -> float:
    def among(values: Floats) -> float:
        return float(np.abs(values[:, None] - values).sum() / (len(values) * (len(values) - 1)))

    between = 2 * np.abs(before[:, None] - after).mean() - among(before) - among(after)
    return float(between * len(before) * len(after) / (len(before) + len(after)))


def test_a_known_point_is_silenced_in_its_series_and_near_its_night() -> None:
    points = [ChangePoint(40, 100, 103, 0), ChangePoint(80, 103, 106, 0)]
    known = [
        Acknowledged("cycles", NIGHTS[42]),
        Acknowledged("milliseconds", NIGHTS[80]),
        Acknowledged("cycles", NIGHTS[77]),
        Acknowledged("cycles", "1999-01-01"),
    ]
    assert unacknowledged("cycles", points, NIGHTS, known) == points[1:]


def test_one_entry_silences_one_point() -> None:
    points = [ChangePoint(40, 100, 103, 0), ChangePoint(42, 103, 106, 0)]
    assert unacknowledged("cycles", points, NIGHTS, [Acknowledged("cycles", NIGHTS[42])]) == points[:1]
