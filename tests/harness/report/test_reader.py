"""The content of a report is what the database holds: verdicts with cause and night, trends, failures, leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.report.content import Content, LayerChange, LayerChanges, Trend
from hil.harness.report.layers import profiles_of
from hil.harness.report.reader import read_content
from hil.harness.report.thinning import NEWEST
from hil.harness.results import RunRecord, open_results
from hil.harness.results.records import (
    SELECTION,
    AcknowledgedRecord,
    DeploymentFigures,
    FailureRecord,
    FigureRecord,
    LayerRecord,
    TestRecord,
)
from hil.harness.results.retention import Rule

from .lab import BASELINE, DEAD, IDENTITY, NIGHTS, REPLACED, SLOWER, STEP, VELA, Lab, deployment


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(str(tmp_path_factory.mktemp("lab") / "nightly.db")).fill()


@pytest.fixture(scope="module")
def content(lab: Lab) -> Content:
    return read_content(lab.results, baseline="main")


def trend(content: Content, figure: str, board: str = "") -> Trend:
    (found,) = (one for one in content.trends if (one.series.figure, one.series.board) == (figure, board))
    return found


def test_the_verdict_is_one_sentence_with_the_night_and_the_largest_change(content: Content) -> None:
    assert (content.verdict, content.baseline, content.run) == ("worse", "main", NIGHTS - 1)
    assert content.sentence == (
        "1 figure of 1 deployment is worse than in main, most of all npu_cycles of kws-pqat on sim (+30.0 %), "
        "since 2026-07-09; 1 figure without a verdict."
    )
    assert (content.runs[0].started.isoformat(), len(content.runs)) == ("2026-06-01T02:30:00+00:00", NIGHTS)
    assert dict(content.identity)["commit"] == f"{NIGHTS - 1:040x}"


def test_a_finding_has_its_values_its_cause_and_its_night(content: Content) -> None:
    (worse,) = (one for one in content.findings if one.outcome == "worse")
    assert (worse.before, worse.after, worse.relative, worse.series.figure) == (1000, 1300, 0.3, "npu_cycles")
    assert worse.cause == ("int8_sha256 aaaaaaaa -> bbbbbbbb", "prune sparsity 0.5 -> 0.1")
    assert (worse.since, worse.fails) == (SLOWER, True)


def test_layers_stand_beside_those_of_the_baseline(content: Content) -> None:
    layers = LayerChange("CONV_2D 0 net/a", 600, 600, "MACs"), LayerChange("SOFTMAX 1 out", 400, 700, "")
    assert content.profiles == (LayerChanges("kws-pqat", "sim", layers),)


def test_layers_of_one_side_alone_and_of_one_name_are_kept() -> None:
    conv, pool = LayerRecord("CONV_2D", "x", 10, "MACs"), LayerRecord("MAX_POOL_2D", "y", 4)
    record = deployment("sim", {})
    before, after = (DeploymentFigures("", record, {}, layers) for layers in ((conv, conv, pool), (conv, conv, conv)))
    ((found,),) = [profiles_of([before], [after])]
    assert [(one.layer, one.before, one.after) for one in found.layers] == [
        *(("CONV_2D x", 10, 10),) * 2,
        ("CONV_2D x", None, 10),
        ("MAX_POOL_2D y", 4, None),
    ]
    assert profiles_of([before], [replace(after, layers=())]) == ()


def test_what_may_not_be_compared_says_since_when(content: Content) -> None:
    (found,) = (one for one in content.findings if one.series.target == "serial")
    assert (found.outcome, found.since) == ("not comparable", REPLACED)
    assert "board desk -> desk 2" in found.cause


def test_an_exact_trend_is_its_changes_and_marks(content: Content) -> None:
    cycles = trend(content, "npu_cycles")
    assert [(one.run, one.before, one.after) for one in cycles.changes] == [(SLOWER, 1000, 1300)]
    assert ("vela", VELA) in [(one.part, one.run) for one in cycles.marks]
    assert cycles.marks[0].text == "vela 5.1.0 -> 5.2.0"
    assert (cycles.band, cycles.nights, cycles.baselines) == (None, NIGHTS, (("main", BASELINE),))
    older = {0, BASELINE - 1, BASELINE, BASELINE + 1, VELA - 1, VELA, VELA + 1}
    assert [one.run for one in cycles.points] == sorted(older | {*range(NIGHTS - NEWEST, NIGHTS)})
    assert str(NEWEST) in content.thinning


def test_a_measured_trend_has_its_step_and_the_band_of_its_noise(content: Content) -> None:
    latency = trend(content, "latency", "desk")
    (step,) = latency.changes
    assert (step.run, step.before, step.after) == (STEP, pytest.approx(1.0, abs=0.01), pytest.approx(1.1, abs=0.01))
    assert latency.band is not None
    low, high = latency.band
    assert low < 1.1 < high
    assert high - low < 0.1, "the step is no noise"
    assert all(one.low is not None and one.low < one.value < (one.high or 0) for one in latency.points)


def test_a_replaced_board_is_another_series_that_begins_with_a_mark(content: Content) -> None:
    second = trend(content, "latency", "desk 2")
    assert (second.marks[0].run, second.marks[0].part) == (REPLACED, "board")
    assert "board desk -> desk 2" in second.marks[0].text
    assert DEAD not in [one.run for one in second.points]


def test_an_acknowledged_change_is_said_so(lab: Lab) -> None:
    record = AcknowledgedRecord("kws", "pqat", "sim", "npu_cycles", lab.ids[SLOWER], "denser")
    lab.results.acknowledge(record)
    (change,) = trend(read_content(lab.results), "npu_cycles").changes
    assert change.is_acknowledged
    (before,) = trend(read_content(lab.results, run=lab.ids[SLOWER]), "npu_cycles").changes
    assert before.is_acknowledged


def test_a_period_leaves_out_older_nights_but_not_the_baseline(lab: Lab) -> None:
    content = read_content(lab.results, baseline="main", since=timedelta(days=7))
    assert [one.id for one in content.runs] == [lab.ids[BASELINE], *lab.ids[-8:]]
    assert content.run == len(content.runs) - 1


def test_without_a_baseline_it_is_that_of_the_stored_verdicts_else_the_run_before(lab: Lab) -> None:
    assert read_content(lab.results, run=lab.ids[10]).baseline == lab.ids[9]
    lab.verdict(lab.ids[11], lab.ids[BASELINE], {"differs": {}, "fails": True})
    found = read_content(lab.results, run=lab.ids[11])
    assert (found.baseline, [one.outcome for one in found.findings]) == ("main", ["worse"])


def test_verdicts_outlive_the_baseline_that_they_were_given_against(tmp_path: Path) -> None:
    lab = Lab(str(tmp_path / "pruned.db"))
    before, run = lab.night(0), lab.night(SLOWER)
    lab.verdict(run, before, {"differs": {}, "fails": True})
    lab.results.prune(Rule(keep=1))
    content = read_content(lab.results, run=run)
    (found,) = content.findings
    assert (content.verdict, content.baseline) == ("worse", before)
    assert (found.before, found.after, found.cause) == (1_000, 1_300, ())


def test_what_a_run_of_chosen_tests_leaves_out_is_not_missing(tmp_path: Path) -> None:
    lab = Lab(str(tmp_path / "chosen.db"))
    lab.night(0)
    run = lab.results.begin(RunRecord("pytest", {SELECTION: "some tests"}))
    key = run.deployment(deployment("sim", IDENTITY))
    run.measurements(key, [FigureRecord("npu_cycles", 1_300, "cycles", "modelled")])
    run.finish(0)
    content = read_content(lab.results, run=run.id)
    assert [(one.series.figure, one.outcome) for one in content.findings] == [("npu_cycles", "worse")]


def test_the_shares_of_an_exchange_are_part_of_the_cause(lab: Lab) -> None:
    figure = {
        "figure": "npu_cycles",
        "unit": "cycles",
        "change": 290.0,
        "rest": 0.0,
        "unexplained": 10.0,
        "shares": [{"part": "model", "change": -60.0, "alone": 1.0}, {"part": "vela", "change": 350.0, "alone": 1.0}],
    }
    lab.verdict(lab.ids[SLOWER], lab.ids[0], {"differs": {}, "fails": True, "attribution": figure})
    (found,) = read_content(lab.results, run=lab.ids[SLOWER], baseline=lab.ids[0]).findings
    assert found.cause[-3:] == (
        "vela: +350 cycles, 117 % of the change (by exchange)",
        "model: -60 cycles, -20 % of the change (by exchange)",
        "not explained: +10 cycles, 3 % of the change (by exchange)",
    )


def test_a_dead_board_is_not_run_and_no_regression(lab: Lab) -> None:
    content = read_content(lab.results, run=lab.ids[DEAD])
    assert content.verdict == "not run"
    (finding,) = content.findings
    assert (finding.outcome, finding.since, finding.fails) == ("not run", DEAD, False)
    assert finding.cause == ("BoardLostError: desk 2 is lost",)
    (failure,) = content.failures
    assert (failure.is_infrastructure, failure.log) == (True, "no answer\n")
    board = next(one for one in content.boards if one.name == "desk 2")
    assert board.serial == "sk 2"


def test_leaves_are_compared_by_place_with_what_fails(content: Content) -> None:
    serial, sim = content.leaves
    assert (serial.target, serial.board, sim.target, sim.board) == ("serial", "desk 2", "sim", "")
    (leaf,) = sim.leaves
    assert leaf.fails == ("npu_cycles",)
    assert ("npu_cycles", 1300.0, "cycles") in leaf.figures


def test_a_mismatch_names_its_operator_and_a_failed_test_is_no_good_run(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "nightly.db"))
    assert (read_content(results).verdict, read_content(results).run) == ("empty", None)
    run = results.begin(RunRecord("pytest"))
    failure = FailureRecord(
        "t.py::t[<script>]", "kws-ptq", "AssertionError", False, "assert 3 == 0", operator="CONV_2D"
    )
    run.failure(failure)
    run.failure(replace(failure, log="x" * 50_000 + "\x1b]0;title\x07end", kind="MismatchError"))
    run.failure(replace(failure, log="x" * 50_000 + "end", kind="MismatchError"))
    run.test(TestRecord("t.py::t", "failed"))
    content = read_content(results)
    assert (content.verdict, content.runs[0].state) == ("failed", "unfinished")
    assert content.sentence.endswith("no earlier run to compare with; the run did not finish; 1 of 1 tests failed.")
    first, second, third = content.failures
    assert (first.first_operator, first.test) == ("CONV_2D", "t.py::t[<script>]")
    assert (len(second.log), second.log[-5:]) == (20_000, "xxend")
    assert third.log == "the same log as that of t.py::t[<script>]"
    with pytest.raises(BadInputError, match="no run none"):
        read_content(results, run="none")


def test_a_failed_leaf_of_a_walk_which_has_no_tests_is_no_good_run(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "walk.db"))
    run = results.begin(RunRecord("hil tree"))
    run.failure(FailureRecord("", "kws-pqat", "mismatch", False, "2 of 10 elements differ"))
    run.finish(1)
    content = read_content(results)
    assert content.verdict == "failed"
    assert content.sentence.endswith("; 1 deployment failed.")


def test_a_run_that_did_not_finish_and_one_of_nothing_are_not_good(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "nightly.db"))
    results.begin(RunRecord("pytest")).finish(5)
    assert read_content(results).verdict == "empty"
    run = results.begin(RunRecord("pytest"))
    run.deployment(deployment("sim", IDENTITY))
    killed = read_content(results, run.id)
    assert killed.verdict == "not run"
    assert killed.sentence == "1 deployment ran; there is no earlier run to compare with; the run did not finish."
    run.finish(0)
    assert read_content(results, run.id).verdict == "good"
