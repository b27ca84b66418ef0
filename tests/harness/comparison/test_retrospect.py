"""Change points over all recorded nights: found with what changed at them, and silent once they are acknowledged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hil.harness.cli import app
from hil.harness.comparison.retrospect import changes_in_retrospect
from hil.harness.comparison.stored_runs import compare_stored
from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results

STEP, NIGHTS = 15, 30


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Thirty nights on two boards; from the 16th on another Vela makes `desk` slower, with drawn noise."""
    results = open_results(str(tmp_path / "nightly.db"))
    noise = np.random.default_rng(0).normal(0, 0.01, (NIGHTS, 2))
    for night in range(NIGHTS):
        run = results.begin(RunRecord("pytest"))
        for board, sample in zip(("desk", "shelf"), noise[night], strict=True):
            identity = {"board": board, "vela": "5.2.0" if night >= STEP else "5.1.0"}
            latency = (1.1 if board == "desk" and night >= STEP else 1.0) + sample
            target = f"serial-{board}"
            key = run.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", target, identity))
            run.measurements(key, [FigureRecord("latency", latency, "ms", "measured", (latency,))])
        run.finish(0)
    results.close()
    return tmp_path / "nightly.db"


def test_a_change_is_found_at_its_night_with_what_changed(database: Path) -> None:
    results = open_results(str(database))
    (change,) = changes_in_retrospect(results)
    runs = [run.id for run in reversed(results.runs())]
    assert (change.deployment, change.series.target, change.run_id) == ("kws-pqat", "serial-desk", runs[STEP])
    assert (change.before, change.after) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.1, abs=0.01))
    assert (change.cause, change.known) == ({"vela": ("5.1.0", "5.2.0")}, False)
    assert changes_in_retrospect(results, model="other") == []


def test_an_acknowledged_change_is_listed_no_more(database: Path) -> None:
    def hil(*words: str) -> str:
        done = CliRunner().invoke(app, ["results", "changes", "--results", str(database), *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert "latency" in hil()
    (change,) = json.loads(hil("--json"))
    assert hil("--acknowledge", change["run_id"], "--note", "Vela 5.2") == "no change points\n"
    (known,) = json.loads(hil("--known", "--json"))
    assert known["known"] is True


def test_nights_without_a_finite_number_are_no_history(database: Path) -> None:
    results = open_results(str(database))
    (change,) = changes_in_retrospect(results)
    for value in (float("inf"), float("nan")):
        run = results.begin(RunRecord("pytest"))
        record = DeploymentRecord("kws-pqat", "kws", "pqat", "serial-desk", {"board": "desk", "vela": "5.2.0"})
        run.measurements(run.deployment(record), [FigureRecord("latency", value, "ms", "measured", (value,))])
        run.finish(0)
    assert changes_in_retrospect(results) == [change]
    newest, oldest = results.runs(3)[-1].id, results.runs()[-1].id
    found = compare_stored(results, newest, oldest, vary=["vela"])
    assert {one.figure for one in found.figures if one.judgement is not None} == {"latency"}
