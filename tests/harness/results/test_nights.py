"""Figures of many nights come by one statement, on both databases: in order, apart by place, without killed runs."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results
from hil.harness.results.results import Results

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture
def results(results_url: str) -> Results:
    return open_results(results_url)


def night(results: Results, cycles: float, board: str = "desk", *, finished: bool = True, **identity: str) -> str:
    run = results.begin(RunRecord("pytest", identity))
    record = DeploymentRecord("kws-pqat", "kws", "pqat", "serial", {"board": board, "accelerator": "ethos-u55-128"})
    figures = [
        FigureRecord("npu_cycles", cycles, "cycles", "measured", (cycles - 1, cycles, cycles + 2)),
        FigureRecord("sram", 512, "bytes", "exact"),
        FigureRecord("zeros", 0.5, "fraction", "exact"),
    ]
    run.measurements(run.deployment(record), figures)
    if finished:
        run.finish(0)
    return run.id


def test_series_are_apart_by_place_and_killed_runs_have_no_figures(results: Results) -> None:
    ids = [night(results, 100), night(results, 7, finished=False), night(results, 200, "shelf"), night(results, 300)]
    found = results.nights(["npu_cycles", "sram"])
    assert [run.id for run in found.runs] == ids
    assert [(one.place[2], one.figure, one.runs.tolist()) for one in found.figures] == [
        *(("desk", "npu_cycles", [0, 3]), ("desk", "sram", [0, 3])),
        *(("shelf", "npu_cycles", [2]), ("shelf", "sram", [2])),
    ]
    cycles, sram, *_ = found.figures
    assert (cycles.values.tolist(), cycles.repetitions[3], sram.repetitions) == ([100, 300], (299, 300, 302), {})
    assert (cycles.is_exact, sram.is_exact, cycles.unit) == (False, True, "cycles")
    assert cycles.identities[0] is cycles.identities[3], "equal identities are read once"
    assert results.nights(["sram"], models=["other"]).figures == ()
    with_killed = results.nights(["sram"], also=[ids[1]])
    assert with_killed.figures[0].runs.tolist() == [0, 1, 3]


def test_a_period_and_the_run_before(results: Results) -> None:
    ids = [night(results, 100), night(results, 200), night(results, 300)]
    middle = results.run(ids[1]).started
    found = results.nights(["sram"], start=middle, until=middle + timedelta(microseconds=1))
    assert [run.id for run in found.runs] == [ids[1]]
    assert [run.id for run in results.nights(["sram"], start=middle, also=[ids[0]]).runs] == ids
    other = results.begin(RunRecord("pytest"))
    other.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", "sim", {}))
    other.finish(0)
    killed = night(results, 1, finished=False)
    assert results.run_before(night(results, 2)) == ids[2], killed
    assert results.run_before(ids[0]) is None
    chosen = night(results, 3, selection="some tests")
    newest = night(results, 4)
    assert results.run_before(newest) not in (chosen, None), "a run of all tests goes before"


def test_infinite_figures_and_repetitions_are_left_out(results: Results) -> None:
    run = results.begin(RunRecord("pytest"))
    figures = [
        FigureRecord("sqnr", math.inf, "dB", "exact"),
        FigureRecord("latency", 1.0, "ms", "measured", (1.0, math.nan, math.inf)),
    ]
    run.measurements(run.deployment(DeploymentRecord("kws-ptq", "kws", "ptq", "serial")), figures)
    run.finish(0)
    found = results.nights(["sqnr", "latency"])
    assert [(one.figure, one.values.tolist(), one.repetitions) for one in found.figures] == [
        ("latency", [1.0], {0: (1.0,)})
    ]
