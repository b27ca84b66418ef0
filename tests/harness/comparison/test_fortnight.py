"""A scripted fortnight: each thing that happens to nightly runs lands on its verdict and names its cause.

The nights on `sim` are real: the blobs are trained, compiled and modelled.  Those of the board are drawn: a latency of
1 ms whose sessions differ by a hundredth, as the identity's field `board` says, for there is no board here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hil.harness.comparison.comparison import Comparison, Outcome
from hil.harness.comparison.comparison_table import format_comparison
from hil.harness.comparison.stored_runs import compare_stored, verdict_records
from hil.harness.results import FigureRecord, RunRecord
from hil.harness.results.records import DeploymentRecord, FailureRecord
from hil.harness.vela.settings import VelaSettings
from tests.harness.attribution.nights import LEAF, NAME, Nights, make

SIZE = VelaSettings(options=("--optimise Size",))
DENSER = {"sparsity": 0.1}
NOISE = 0.01
"""Of a session, as a fraction of the latency."""
pytestmark = pytest.mark.xdist_group("fortnight")


@dataclass(frozen=True)
class Lab:
    """The nights on `sim` and on a drawn board, in one database; `main` and `desk` are their baselines."""

    nights: Nights
    main: str
    desk: str

    def compared(self, run: str, baseline: str, *vary: str) -> Comparison:
        """Compares a night, and keeps the verdicts as the pytest plugin does."""
        found = compare_stored(self.nights.results, run, baseline, vary=vary)
        for record in verdict_records(found, baseline):
            self.nights.results.join(run).verdict(record)
        return found

    def board(self, *latencies: float, build: str = "", board: str = "desk (drawn)", finished: bool = True) -> str:
        """A night on the board: the latency of its session, and of further ones, of the baseline's build or another."""
        (of_sim,) = self.nights.results.figures(self.main)
        identity = {**of_sim.record.identity, "target": "serial", "engine": "", "board": board}
        identity |= {"int8_sha256": build} if build else {}
        run = self.nights.results.begin(RunRecord("pytest"))
        key = run.deployment(DeploymentRecord(NAME, "blobs", LEAF, "serial", identity))
        names = ["latency", *(f"latency#{number}" for number in range(2, len(latencies) + 1))]
        run.measurements(
            key, [FigureRecord(n, ms, "ms", "measured", (ms,)) for n, ms in zip(names, latencies, strict=True)]
        )
        if finished:
            run.finish(0)
        return run.id


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Twenty nights that calibrate the board's noise; the first of them is its baseline."""
    nights = make(tmp_path_factory.mktemp("fortnight"))
    first = Lab(nights, nights.record(), "")
    drawn = np.random.default_rng(1).normal(1.0, NOISE, 20)
    runs = [first.board(float(ms)) for ms in drawn]
    return replace(first, desk=runs[0])


def outcome(found: Comparison, figure: str) -> str:
    (one,) = (one for one in found.figures if one.figure == figure)
    return one.outcome.value


def test_a_night_like_any_other(lab: Lab) -> None:
    found = lab.compared(lab.nights.record(), lab.main)
    assert {one.outcome for one in found.figures} == {Outcome.SAME}
    assert (found.exit_code(strict=True), found.changes) == (0, {})


def test_a_slower_model_is_worse_and_its_setting_is_named(lab: Lab) -> None:
    found = lab.compared(lab.nights.record(**DENSER), lab.main)
    assert (outcome(found, "npu_cycles"), outcome(found, "encoded_weights"), found.exit_code()) == ("worse", "worse", 1)
    assert "prune sparsity 0.5 -> 0.1" in " ".join(format_comparison(found, "latest", "main", width=200).split())


def test_another_option_of_vela_is_not_compared_unless_it_is_what_is_tested(lab: Lab) -> None:
    run = lab.nights.record(SIZE)
    found = lab.compared(run, lab.main)
    assert {outcome(found, name) for name in ("npu_cycles", "sram", "encoded_weights")} == {"not comparable"}
    assert (outcome(found, "tflite"), found.exit_code(), found.exit_code(strict=True)) == ("same", 0, 1)
    assert found.changes == {NAME: {"vela_options": ("", "--optimise Size")}}
    assert outcome(lab.compared(run, lab.main, "vela"), "npu_cycles") in ("worse", "better")


def test_a_model_and_an_option_in_one_night_get_their_shares(lab: Lab) -> None:
    run = lab.nights.record(SIZE, **DENSER)
    assert set(lab.compared(run, lab.main).changes[NAME]) == {"vela_options", "recipe", "int8_sha256"}
    shares = lab.nights.attribute(run, lab.main).figures["npu_cycles"].shares
    assert set(shares.parts) == {"model", "vela_options"}
    assert sum(one.share for one in shares.parts.values()) == shares.change != 0


def test_a_lost_cluster_fails_by_its_missing_figures(lab: Lab) -> None:
    run = lab.nights.results.begin(RunRecord("pytest"))
    run.failure(FailureRecord("t", NAME, "LostError", False, "layer conv lost its clusters"))
    run.finish(1)
    found = lab.compared(run.id, lab.main)
    assert {one.outcome for one in found.figures} == {Outcome.MISSING}
    assert found.exit_code() == 1


@pytest.mark.parametrize(("sigma", "expected"), [(0.0, "same"), (1.0, "same"), (-6.0, "better")])
def test_noise_and_a_step_inside_it_are_no_alarm(lab: Lab, sigma: float, expected: str) -> None:
    found = lab.compared(lab.board(1.0 + sigma * NOISE, build=f"step of {sigma}"), lab.desk)
    assert (outcome(found, "latency"), found.exit_code(strict=True)) == (expected, 0)


def test_a_step_beyond_the_noise_is_a_regression_when_further_sessions_repeat_it(lab: Lab) -> None:
    confirmed = lab.compared(lab.board(1.08, 1.08, 1.085, build="slower"), lab.desk)
    assert (outcome(confirmed, "latency"), confirmed.exit_code()) == ("worse", 1)
    alone = lab.compared(lab.board(1.08, 1.0, build="odd"), lab.desk)
    assert (outcome(alone, "latency"), alone.exit_code(), alone.exit_code(strict=True)) == ("not confirmed", 0, 1)


def test_a_dead_board_is_infrastructure(lab: Lab) -> None:
    run = lab.nights.results.begin(RunRecord("pytest"))
    run.failure(FailureRecord("t", NAME, "BoardLostError", True, "desk is lost", board="desk"))
    run.finish(6)
    found = lab.compared(run.id, lab.desk)
    assert ({one.outcome for one in found.figures}, found.exit_code()) == ({Outcome.NOT_RUN}, 3)


def test_a_killed_run_is_no_part_of_the_history(lab: Lab) -> None:
    killed = [lab.board(5.0, finished=False) for _ in range(20)]
    assert lab.nights.results.run(killed[0]).state == "unfinished"
    assert outcome(lab.compared(lab.board(1.08, 1.08, 1.08, build="slow too"), lab.desk), "latency") == "worse"


def test_a_replaced_board_is_another_identity(lab: Lab) -> None:
    found = lab.compared(lab.board(1.3, board="desk 2 (drawn)"), lab.desk)
    assert outcome(found, "latency") == "not comparable"
    assert found.changes[NAME]["board"] == ("desk (drawn)", "desk 2 (drawn)")
    assert found.exit_code() == 0
