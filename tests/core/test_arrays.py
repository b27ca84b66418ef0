"""Comparison of arrays bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.arrays import bit_equal, largest_difference, unequal


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [(0.25, 0.75, True), (0.0, -0.0, True), (np.nan, -np.nan, False), (np.nan, 1.0, True), (np.inf, np.inf, False)],
)
def test_real_numbers_are_equal_bit_by_bit(one: float, other: float, differs: bool) -> None:
    pair = np.array([one], np.float32), np.array([other], np.float32)
    assert unequal(*pair).tolist() == [differs]
    assert bit_equal(*pair) is not differs


def test_the_largest_difference_has_the_type_of_its_arrays() -> None:
    assert largest_difference(np.array([-128, 3], np.int8), np.array([127, 3], np.int8)) == 255
    assert largest_difference(np.array([0.25, 1], np.float32), np.array([0.75, 1], np.float32)) == 0.5
    assert largest_difference(np.array([0.0, 1], np.float32), np.array([-0.0, 1], np.float32)) == 0
    assert np.isnan(largest_difference(np.array([np.nan], np.float32), np.array([1], np.float32)))
