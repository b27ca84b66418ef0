"""A run from its beginning to its end, on both databases: what is written is read, once, with nothing lost."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from hil.core.errors import BadInputError
from hil.core.measurement import Trust
from hil.harness.results import open_results
from hil.harness.results.records import (
    AcknowledgedRecord,
    BoardRecord,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    LayerRecord,
    MissingRecord,
    RunRecord,
    TestRecord,
    VerdictRecord,
)
from hil.harness.results.results import Results
from hil.harness.results.retention import Rule

pytestmark = pytest.mark.xdist_group("postgresql")

KWS = DeploymentRecord("kws-pqat", "kws", "pqat", "sim", {"vela": "5.2.0", "accelerator": "ethos-u55-128"})
CYCLES = FigureRecord("npu_cycles", 83_112, "cycles", "modelled", note="one inference")
LATENCY = FigureRecord("latency", 1.25, "ms", "measured", (1.2, 1.25, 1.3))


@pytest.fixture
def results(results_url: str) -> Results:
    return open_results(results_url)


def test_a_run_is_read_as_it_was_written(results: Results) -> None:
    run = results.begin(RunRecord("pytest", {"python": "3.11"}, ("pytest", "--target", "sim"), host="lab-1"))
    deployment = run.deployment(KWS)
    run.measurements(deployment, [LATENCY, CYCLES])
    verdict = VerdictRecord("kws-pqat", "sim", "latency", "worse", "x", 1.25, 1.0, "ms", "exact", "m", {"a": [1, None]})
    run.verdict(verdict)
    failure = FailureRecord("t.py::a", "kws-pqat", "BootError", True, "no answer", "the log", board="b1")
    run.failure(failure)
    run.test(TestRecord("t.py::a", "failed", 0.5))
    run.test(TestRecord("t.py::b", "passed", 1.5))
    run.board(BoardRecord("b1", "0123", "quarantined", "three failures", "boot 2"))
    assert results.run(run.id).state == "unfinished"
    run.finish(6)
    (stored,) = results.runs()
    assert stored.record == RunRecord("pytest", {"python": "3.11"}, ("pytest", "--target", "sim"), "lab-1")
    assert (stored.id, stored.state, stored.exit_code) == (run.id, "finished", 6)
    assert timedelta() <= datetime.now(timezone.utc) - stored.started < timedelta(minutes=5)
    assert (stored.deployments, stored.figures, stored.failures, stored.infrastructure) == (1, 2, 1, 1)
    assert stored.tests == {"failed": 1, "passed": 1}
    (found,) = results.figures(run.id)
    assert found.record == KWS
    assert dict(found.figures) == {"latency": LATENCY, "npu_cycles": CYCLES}
    assert results.verdicts(run.id) == (verdict,)
    assert results.failures(run.id) == (failure,)
    assert [test.nodeid for test in results.tests(run.id)] == ["t.py::a", "t.py::b"]
    events = results.board_events("b1")
    assert [type(event.record) for event in events] == [FailureRecord, BoardRecord]
    assert results.board_events("b2") == ()


def test_layers_are_read_in_order_and_end_with_their_run(results: Results) -> None:
    run = results.begin(RunRecord("pytest"))
    deployment = run.deployment(KWS)
    layers = tuple(LayerRecord(f"CONV_2D {n}", f"net/{n}", 100 * n, "MACs") for n in (2, 0, 1))
    run.layers(deployment, layers[:1])
    run.layers(deployment, layers)
    run.deployment(replace(KWS, name="other"))
    assert {one.record.name: one.layers for one in results.figures(run.id)} == {"kws-pqat": layers, "other": ()}
    run.finish(0)
    assert [one.id for one in results.prune(Rule(keep=0))] == [run.id]
    assert results.figures(run.id) == ()


def test_figures_without_a_value_are_kept_with_the_reason_and_end_with_their_run(results: Results) -> None:
    run = results.begin(RunRecord("hil run"))
    deployment = run.deployment(KWS)
    missing = MissingRecord("wd_stalled", "not modelled", "PMU event 0x51"), MissingRecord("cc_idle", "overflowed")
    run.missing(deployment, missing[:1])
    run.missing(deployment, missing)
    (found,) = results.figures(run.id)
    assert (found.missing, dict(found.figures)) == (missing, {})
    run.finish(0)
    assert [one.id for one in results.prune(Rule(keep=0))] == [run.id]
    assert results.figures(run.id) == ()


def test_what_is_written_again_is_replaced_and_not_doubled(results: Results) -> None:
    first = results.begin(RunRecord("pytest"))
    again = results.join(first.id)  # another worker
    deployment = first.deployment(KWS)
    assert again.deployment(KWS) == deployment
    assert first.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", "fvp", KWS.identity)) != deployment
    first.measurements(deployment, [CYCLES, LATENCY])
    again.measurements(deployment, [FigureRecord("npu_cycles", 7, "cycles", Trust.MODELLED)])
    for outcome in ("failed", "passed"):
        first.test(TestRecord("t.py::flaky", outcome))
        first.verdict(VerdictRecord("kws-pqat", "sim", "npu_cycles", outcome))
    found = {one.id: one.figures for one in results.figures(first.id)}[deployment]
    assert found["latency"] == LATENCY
    assert found["npu_cycles"] == FigureRecord("npu_cycles", 7, "cycles", "modelled")
    assert results.run(first.id).tests == {"passed": 1}
    assert [verdict.verdict for verdict in results.verdicts(first.id)] == ["passed"]


def test_a_transaction_is_whole_or_nothing(results: Results) -> None:
    run = results.begin(RunRecord("pytest"))

    def fail_midway() -> None:
        with run.transaction():
            run.measurements(run.deployment(KWS), [CYCLES])
            run.test(TestRecord("t.py::a", "passed"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_midway()
    assert results.run("latest").deployments == 0
    with run.transaction():
        run.measurements(run.deployment(KWS), [CYCLES])
        assert results.run("latest").deployments == 0
    assert results.run("latest").figures == 1


def test_texts_and_numbers_that_a_database_refuses_are_stored(results: Results) -> None:
    run = results.begin(RunRecord("pytest", {"n\0": "\ud800 ü"}))
    deployment = run.deployment(KWS)
    odd = (math.inf, -math.inf, math.nan, 2.0**53, 1e-320)
    run.measurements(deployment, [FigureRecord(f"f{n}", value, "dB", "exact", odd) for n, value in enumerate(odd)])
    run.failure(FailureRecord("t", "", "HangError", True, "\0", "x" * 200_000 + "end\0"))
    (found,) = results.figures(run.id)
    assert [str(found.figures[f"f{n}"].value) for n in range(5)] == list(map(str, odd))
    assert str(found.figures["f0"].repetitions) == str(odd)
    (failure,) = results.failures(run.id)
    assert failure.log == "x" * 99_996 + "end\N{REPLACEMENT CHARACTER}"
    assert results.run(run.id).record.identity == {"n\N{REPLACEMENT CHARACTER}": "? ü"}


def test_a_run_is_found_by_id_prefix_latest_and_baseline(results: Results) -> None:
    with pytest.raises(BadInputError, match="the results database has no runs"):
        results.run("latest")
    first, second = results.begin(RunRecord("pytest")), results.begin(RunRecord("hil tree"))
    assert re.fullmatch(r"\d{8}-\d{6}-\d{3}[0-9a-z]{7}", first.id)
    assert first.id < second.id
    results.set_baseline("main", first.id)
    assert results.run("main").id == results.run(first.id).id == results.run(first.id[:-1]).id == first.id
    assert results.run("latest").id == second.id
    assert [run.id for run in results.runs(limit=1)] == [second.id]
    assert results.runs(model="kws") == ()
    for name, message in (
        (first.id[:6], f"{first.id[:6]} begins several runs: {first.id}, {second.id}"),
        ("2", "begins several runs"),
        ("", "'' is no name of a run"),
        ("x" * 1_000_000, r"^'x{20}'\.\.\. is no name of a run \(RUN is"),
        ("\ud800", r"no run \?"),
        ("n\0", "no run n\N{REPLACEMENT CHARACTER}"),
        ("none", r"no run none \(RUN is an id, latest or a baseline; baselines: main\)"),
        ("%", "no run %"),
        ("_" * len(first.id), "no run ___"),
    ):
        with pytest.raises(BadInputError, match=message):
            results.run(name)


def test_a_baseline_moves_only_when_it_is_set(results: Results) -> None:
    first, second = results.begin(RunRecord("pytest")), results.begin(RunRecord("pytest"))
    results.set_baseline("main", first.id)
    results.set_baseline("2.0", first.id)
    results.set_baseline("main", second.id)
    assert [(one.name, one.run_id) for one in results.baselines()] == [("2.0", first.id), ("main", second.id)]
    results.delete_baseline("2.0")
    assert [one.name for one in results.baselines()] == ["main"]
    with pytest.raises(BadInputError, match=r"no baseline 2.0 \(baselines: main\)"):
        results.delete_baseline("2.0")
    for name in ("", " ", "latest", "two\nlines", "\0", "\ud800", second.id):
        with pytest.raises(BadInputError, match="cannot be named"):
            results.set_baseline(name, first.id)
    with pytest.raises(BadInputError, match="at most 100 characters, not 1,000,000"):
        results.set_baseline("x" * 1_000_000, first.id)


def test_limits_and_names_that_no_database_holds(results: Results) -> None:
    run = results.begin(RunRecord("pytest"))
    assert [one.id for one in results.runs(limit=10**30)] == [run.id]
    assert results.prune(Rule(keep=10**30)) == ()
    for name in ("'; DROP TABLE runs; --", "\0", "\ud800", "x" * 1_000_000):
        assert results.runs(model=name) == results.board_events(name) == ()
        assert results.history(name, name, name, name) == ()
    assert results.run("latest").id == run.id


def test_a_series_has_a_figure_of_every_run_the_oldest_first(results: Results) -> None:
    ids = []
    for night in range(4):
        run = results.begin(RunRecord("pytest", {"night": str(night)}))
        ids.append(run.id)
        for path in ("ptq", "pqat"):
            deployment = run.deployment(DeploymentRecord(f"kws-{path}", "kws", path, "sim", {"vela": f"5.{night}"}))
            run.measurements(deployment, [FigureRecord("latency", night, "ms", "measured"), CYCLES])
        if night:
            run.finish(0)
    series = results.history("kws", "pqat", "sim", "latency")
    assert [(point.run_id, point.figure.value) for point in series] == [(name, n) for n, name in enumerate(ids)]
    assert [point.finished for point in series] == [False, True, True, True]
    assert series[2].identity == {"vela": "5.2"}
    assert series[2].run_identity == {"night": "2"}
    assert [point.figure.value for point in results.history("kws", "pqat", "sim", "latency", limit=2)] == [2, 3]
    assert results.history("kws", "pqat", "fvp", "latency") == ()


def test_an_acknowledged_change_stays_acknowledged(results: Results) -> None:
    run = results.begin(RunRecord("pytest"))
    record = AcknowledgedRecord("kws", "pqat", "sim", "latency", run.id, "Vela 5.2")
    results.acknowledge(record)
    results.acknowledge(record)
    assert list(results.acknowledged()) == [record]
