"""Many processes that write at once, one of them killed: nothing committed is lost, nothing is doubled or halved."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hil.harness.results import open_results
from tests.harness.results import writers

pytestmark = pytest.mark.xdist_group("postgresql")

WRITERS, TESTS = 16, 24


def test_sixteen_processes_and_one_that_is_killed(results_url: str) -> None:
    command = [sys.executable, str(Path(writers.__file__)), results_url, str(WRITERS), str(TESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    committed = Counter(tuple(line.split()) for line in done.stdout.splitlines())
    assert set(committed.values()) == {1}
    results = open_results(results_url)
    runs = results.runs()
    assert Counter(run.state for run in runs) == {"finished": WRITERS // 2, "unfinished": 1}
    for run in runs:
        stored = {test.nodeid for test in results.tests(run.id)}
        reported = {nodeid for run_id, nodeid in committed if run_id == run.id}
        extra = {"unfinished": 1}.get(run.state, 0)  # killed between the commit and its report
        assert stored >= reported
        assert len(stored) <= len(reported) + extra
        assert {one.record.name for one in results.figures(run.id)} == stored
        assert all(len(one.figures) == writers.FIGURES for one in results.figures(run.id))
        assert run.figures == len(stored) * writers.FIGURES
    assert len(committed) > (WRITERS - 1) * TESTS
