"""The Pareto front, which pictures draw and the policy `best` chooses from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.measurement import Measurement, Trust
from hil.harness.pareto_front import pareto_front
from hil.harness.tree.result import Leaf, LeafStatus, speed_figure
from hil.harness.tree.settings_search import best_of, cost

Points = list[tuple[int, int, int]]


def test_what_is_worse_in_everything_is_left_out() -> None:
    assert pareto_front([(3, 1), (1, 3), (3, 3), (2, 2)]) == [0, 1, 3]
    assert pareto_front([]) == []
    assert pareto_front([(1, 2)]) == [0]


def test_equal_points_stand_together_and_a_tie_in_one_figure_does_not_save_a_point() -> None:
    assert pareto_front([(1, 2), (1, 2), (1, 3), (2, 2)]) == [0, 1]


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
def test_an_unknown_figure_neither_stands_nor_beats(unknown: float) -> None:
    assert pareto_front([(unknown, 0), (1, 1)]) == [1]


def test_points_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pareto_front([(1, 2), (1, 2, 3)])


@given(st.lists(st.tuples(*(st.integers(0, 4) for _ in range(3)))))
def test_each_point_is_on_the_front_or_beaten_by_one_that_is(points: Points) -> None:
    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    chosen = [points[place] for place in pareto_front(points)]
    for point in points:
        assert (point in chosen) != any(beats(other, point) for other in chosen)


def _leaf(name: str, weights: float, **speed: float) -> Leaf:
    figures = {"accuracy_drop": 0.01, "encoded_weights": weights, **speed}
    measurements = tuple(Measurement(key, value, "", Trust.MEASURED) for key, value in figures.items())
    return Leaf(name, (), LeafStatus.MET, measurements=measurements)


def test_leaves_of_a_board_that_counts_no_cycles_are_ordered_by_milliseconds() -> None:
    slow, small, fast = _leaf("slow", 9, latency=3.0), _leaf("small", 8, latency=2.0), _leaf("fast", 9, latency=1.0)
    assert speed_figure([slow, small, fast]) == "latency"
    assert best_of([slow, small, fast]) == [small, fast]
    assert min([slow, small, fast], key=cost) is fast


def test_cycles_come_before_milliseconds_and_host_has_neither() -> None:
    assert speed_figure([_leaf("board", 1, latency=1.0, npu_cycles=5)]) == "npu_cycles"
    assert speed_figure([_leaf("host", 1)]) == ""
    assert [leaf.name for leaf in best_of([_leaf("large", 2), _leaf("small", 1)])] == ["small"]
