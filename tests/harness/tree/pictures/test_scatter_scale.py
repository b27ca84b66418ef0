"""The plot of a metric of which less is better: better is up, limits and bars on the right side."""

from __future__ import annotations

import pytest

from hil.core.measurement import Measurement, Trust
from hil.harness.drawing.canvas import style
from hil.harness.model import Budget, Scale
from hil.harness.tree import Leaf, LeafStatus, Verdict, Walk
from hil.harness.tree.pictures.scatter import LATENCY, draw_scatter, scatter_points


def leaf(name: str, latency: float, error: float) -> Leaf:
    figures = {"latency": latency, "accuracy": error, "base_accuracy": 1.0, "accuracy_drop": error - 1.0}
    figures |= {"accuracy_drop_low": error - 1.1, "accuracy_drop_high": error - 0.8}
    measurements = tuple(Measurement(key, value, "", Trust.MODELLED) for key, value in figures.items())
    return Leaf(name, ("ptq",), LeafStatus.MET, measurements=measurements)


def test_less_is_better_where_the_metric_says_so() -> None:
    leaves = leaf("slow", 2.0, 1.2), leaf("fast", 1.0, 1.5), leaf("beaten", 1.5, 1.9)
    limits, scale = Budget(max_accuracy_drop=0.8, min_accuracy=1.7), Scale("K", lower_is_better=True)
    found = Walk("m", "all", limits, {"target": "sim"}, (), leaves, (), Verdict(True, "fast", ""), scale=scale)
    _, points = scatter_points(found, LATENCY)
    assert (points[0].accuracy, points[0].low, points[0].high) == pytest.approx((1.2, 1.1, 1.4))
    with style():
        drawing = draw_scatter(found, LATENCY)
    bottom, top = drawing.axes.get_ylim()
    assert bottom > top
    assert "On the Pareto front: fast, slow." in drawing.alt or "On the Pareto front: slow, fast." in drawing.alt
    assert {"limit: accuracy at most 1.7 K", "float base 1 K"} <= {text.get_text() for text in drawing.axes.texts}
    assert drawing.axes.get_ylabel() == "accuracy of the int8 model, K"
