"""A database with 100,000 measurements is listed and compared in under two seconds, on both databases.

Counted is this process's time on a processor, SQLite's in it: that on the clock is the machine's load, too.
"""

from __future__ import annotations

import time

import pytest
import sqlalchemy

from hil.harness.results import open_results
from hil.harness.results.records import RunRecord

pytestmark = pytest.mark.xdist_group("postgresql")

RUNS, DEPLOYMENTS, FIGURES = 100, 100, 10
COUNT = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
FILL = (
    f"INSERT INTO deployments (id, run_id, name, model, path, target, identity) {COUNT} "
    f"SELECT runs.id || i, runs.id, 'd' || i, 'm' || (i / 5), 'p' || (i % 5), 'sim', '{{{{}}}}' FROM n CROSS JOIN runs",
    f"INSERT INTO measurements (deployment_id, name, run_id, value, unit, trust, note, repetitions) {COUNT} "
    "SELECT deployments.id, 'f' || i, run_id, i, 'ms', 'measured', '', '1.5 2.5 3.5' "
    "FROM n CROSS JOIN deployments ORDER BY deployments.id",
)


def test_a_hundred_thousand_measurements(results_url: str) -> None:
    results = open_results(results_url)
    ids = [results.begin(RunRecord("pytest")).id for _ in range(RUNS)]
    with sqlalchemy.create_engine(results_url).begin() as connection:
        for statement, number in zip(FILL, (DEPLOYMENTS, FIGURES), strict=True):
            connection.execute(sqlalchemy.text(statement.format(last=number - 1)))
    started = time.process_time()
    runs = results.runs()
    compared = [results.figures(name) for name in (ids[0], ids[-1])]
    series = [results.history(f"m{n}", "p3", "sim", "f7") for n in range(20)]
    taken = time.process_time() - started
    assert sum(run.figures for run in runs) == RUNS * DEPLOYMENTS * FIGURES
    assert [sum(len(found.figures) for found in figures) for figures in compared] == [DEPLOYMENTS * FIGURES] * 2
    assert {len(points) for points in series} == {RUNS}
    assert taken < 2, taken
