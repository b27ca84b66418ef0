"""Noise from a history: what widens it, and what must not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.arrays import Floats
from hil.harness.judgement.history import WINDOW, spread


@pytest.fixture
def nights() -> Floats:
    return 1000 + np.random.default_rng(7).standard_normal(60)


def test_of_normal_noise_it_is_about_five_times_as_wide(nights: Floats) -> None:
    assert 4 < spread(nights) < 7


@pytest.mark.parametrize(
    ("change", "at_most"),
    [
        (lambda values: np.where(np.arange(60) == 40, values + 1000, values), 1.5),  # an outlier
        (lambda values: np.where(np.arange(60) >= 40, values + 1000, values), 1.5),  # a step
        (lambda values: values + 0.5 * np.arange(60), 1.5),  # a creep of half the noise a night
    ],
    ids=["outlier", "step", "creep"],
)
def test_neither_outlier_nor_step_nor_creep_blinds_it(nights: Floats, change, at_most: float) -> None:  # type: ignore[no-untyped-def]
    assert spread(change(nights)) < at_most * spread(nights)


def test_outliers_are_forgotten(nights: Floats) -> None:
    wild = 1000 + 100 * np.random.default_rng(8).standard_normal(WINDOW)
    assert spread(np.concatenate([wild, nights])) == spread(nights)


def test_a_rare_second_level_counts(nights: Floats) -> None:
    rare = np.where(np.isin(np.arange(60), (11, 30, 50)), nights + 30, nights)
    assert spread(rare) > 30


def test_two_levels_that_take_turns_are_no_wider_than_they_are() -> None:
    """The interquartile range of their changes is 10, so three of them would be 40."""
    turns = 1000.0 + 10 * np.random.default_rng(3).integers(0, 2, 60)
    assert spread(turns) == 15


def test_a_counter_that_was_once_off_by_its_resolution_has_that_noise() -> None:
    values = np.full(30, 1000.0)
    values[17] = 1008
    assert spread(values) == 8


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([12, 18, 19, 40, 80]), st.floats(0.01, 100))
def test_rows_are_judged_by_themselves_and_units_do_not_matter(seed: int, count: int, unit: float) -> None:
    rows = np.random.default_rng(seed).standard_t(3, (3, count))
    alone = [spread(row) for row in rows]
    assert np.array_equal(spread(rows), alone)
    assert np.allclose(spread(rows * unit), np.multiply(alone, unit))
