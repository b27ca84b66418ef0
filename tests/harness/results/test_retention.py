"""Pruning by rule, on both databases: what is removed goes whole, and a baseline stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import insert, update

from hil.core.errors import BadInputError
from hil.harness.results import open_results, schema
from hil.harness.results.records import (
    AcknowledgedRecord,
    BoardRecord,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    RunRecord,
    TestRecord,
    VerdictRecord,
)
from hil.harness.results.results import Results
from hil.harness.results.retention import Rule

pytestmark = pytest.mark.xdist_group("postgresql")

DAYS = (100, 50, 3, 0)
"""Ages of the nights; the first is a baseline, the last two were killed."""


@pytest.fixture
def results(results_url: str) -> Results:
    results = open_results(results_url)
    engine = sqlalchemy.create_engine(results_url)
    for days in DAYS:
        run = results.begin(RunRecord(f"{days} days"))
        with run.transaction():
            deployment = run.deployment(DeploymentRecord("d", "kws", "ptq", "sim"))
            run.measurements(deployment, [FigureRecord("f", 1, "", "exact")])
            run.test(TestRecord("t", "passed"))
            run.failure(FailureRecord("t", "", "HangError", True, "", "x" * 50_000))
            run.verdict(VerdictRecord("d", "sim", "f", "same"))
            run.board(BoardRecord("b", "", "reset"))
        results.acknowledge(AcknowledgedRecord("kws", "ptq", "sim", "f", run.id))
        if days == DAYS[0]:
            results.set_baseline("main", run.id)
        if days > 3:
            run.finish(0)
        at = results.run(run.id).started - timedelta(days=days)
        with engine.begin() as connection:
            connection.execute(update(schema.runs).where(schema.runs.c.id == run.id).values(started=at))
            connection.execute(update(schema.tests).where(schema.tests.c.run_id == run.id).values(ended=at))
    return results


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        (Rule(older_than=timedelta(days=90)), []),
        (Rule(older_than=timedelta(days=2)), [3, 50]),
        (Rule(keep=1), [3, 50]),
        (Rule(keep=0), [0, 3, 50]),
        (Rule(unfinished=True), [3]),
    ],
)
def test_rules(results: Results, rule: Rule, gone: list[int]) -> None:
    would = results.prune(rule, dry_run=True)
    assert len(results.runs()) == len(DAYS)
    assert results.prune(rule) == would
    assert [run.record.kind for run in would] == [f"{days} days" for days in gone]
    assert {run.record.kind for run in results.runs()} == {f"{days} days" for days in DAYS if days not in gone}
    left = len(DAYS) - len(gone)
    assert len(results.acknowledged()) == left
    assert len(results.board_events("b")) == left
    assert len(results.history("kws", "ptq", "sim", "f")) == left
    assert all(len(results.failures(run.id)) == 1 for run in results.runs())


def test_an_old_run_that_still_writes_is_not_taken_for_a_killed_one(results: Results) -> None:
    run = next(run for run in results.runs() if run.record.kind == "3 days")
    results.join(run.id).test(TestRecord("u", "passed"))
    assert results.prune(Rule(unfinished=True)) == ()


def test_a_pruned_sqlite_file_is_smaller(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "x.db"))
    for _ in range(20):
        results.begin(RunRecord("pytest")).failure(FailureRecord("t", "", "HangError", True, "", "x" * 100_000))
    results.close()
    before = (tmp_path / "x.db").stat().st_size
    results = open_results(str(tmp_path / "x.db"))
    results.prune(Rule(keep=1))
    results.close()
    assert (tmp_path / "x.db").stat().st_size < before / 5


def test_a_run_that_becomes_a_baseline_meanwhile_stays(results: Results, results_url: str) -> None:
    """The name is given in a transaction that ends when the pruning has begun and waits for it."""
    old = next(run for run in results.runs() if run.record.kind == "50 days")
    row = {"name": "late", "run_id": old.id, "created": old.started}
    engine, pruning = sqlalchemy.create_engine(results_url), open_results(results_url)
    with ThreadPoolExecutor(1) as pool:
        with engine.connect() as connection:
            connection.execute(insert(schema.baselines).values(**row))
            gone = pool.submit(pruning.prune, Rule(older_than=timedelta(days=40)))
            assert not wait([gone], timeout=0.5).done
            connection.commit()
        assert gone.result() == ()
    assert {one.name for one in results.baselines()} == {"main", "late"}
    assert results.run("late").id == old.id


def test_a_run_that_was_removed_meanwhile_is_no_baseline(results: Results) -> None:
    gone = next(run.id for run in results.runs() if run.record.kind == "50 days")
    results.prune(Rule(older_than=timedelta(days=40)))
    with pytest.raises(BadInputError, match=f"no run {gone}"):
        results.set_baseline("late", gone)
