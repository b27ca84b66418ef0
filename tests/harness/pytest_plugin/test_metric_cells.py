"""The table of a run shows a metric in its unit, and heads right answers as such."""

from __future__ import annotations

from hil.harness.pytest_plugin import metric_cells

SHARE = {
    **{"metric": "top1", "base": 0.916, "keras": 0.914, "int8": 0.912, "drop": 0.004, "low": 0.001, "high": 0.007},
    **{"labelled": 500, "samples": 500, "on_target": 0.99, "counted": True, "unit": "fraction"},
    "lower_is_better": False,
}
NUMBER = {
    **{"metric": "neg_mse", "base": -0.18, "keras": -0.18, "int8": -0.19, "drop": 0.01, "low": 0.005, "high": 0.015},
    **{"labelled": 500, "samples": 8, "on_target": -0.25, "counted": False, "unit": "", "lower_is_better": False},
}

SHOWN = ("Keras", "int8", "drop", "right on target")


def test_right_answers_are_headed_so() -> None:
    assert metric_cells.headings([SHARE]) == ("Keras", "int8", "drop", "right on\ntarget")
    assert metric_cells.cells(SHARE) == ["91.4", "91.2", "+0.4 ±0.3", "495/500"]
    assert metric_cells.title("m", [SHARE]) == "m: float base top1 91.6 % of 500 test samples"
    assert "in % over" in metric_cells.legend([SHARE], SHOWN)[0]
    (line,) = metric_cells.on_target([SHARE], "500", "sim", SHOWN)
    assert line.startswith("right on target: right answers of the 500")
    assert metric_cells.on_target([SHARE], "500", "sim", ()) == metric_cells.legend([SHARE], ()) == []


def test_a_number_is_not_in_percent() -> None:
    assert metric_cells.headings([NUMBER])[3] == "on target"
    assert metric_cells.cells(NUMBER) == ["-0.18", "-0.19", "+0.01 ±0.005", "-0.25"]
    assert metric_cells.title("m", [NUMBER]) == "m: float base neg_mse -0.18 of 500 test samples"
    assert "%" not in metric_cells.legend([NUMBER], SHOWN)[0].removesuffix("95 % interval")
    kelvin = {**NUMBER, "unit": "K", "lower_is_better": True}
    assert metric_cells.title("m", [kelvin]).endswith("neg_mse -0.18 K of 500 test samples, less is better")
    assert "metric in % or K over" in metric_cells.legend([SHARE, kelvin], SHOWN)[0]


def test_a_number_beside_shares_is_not_in_percent() -> None:
    (line,) = metric_cells.legend([SHARE, NUMBER], SHOWN)
    assert "the metric in % or no unit over the test set" in line
    assert "drop in points or no unit: against the float base" in line
