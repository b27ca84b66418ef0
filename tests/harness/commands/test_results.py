"""`hil results`: what a user reads of recorded runs, and what leaves the database."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError
from hil.harness.cli import app
from hil.harness.results import open_results
from hil.harness.results.records import (
    BoardRecord,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    RunRecord,
    TestRecord,
    VerdictRecord,
)
from tests.support import forked
from tests.support.json_schema import validate

COMMAND = ("pytest", "--target", "sim", "--results=nightly.db", "--baseline", "main", "--hil-report", "report.html")


@pytest.fixture(autouse=True)
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of three recorded runs in `nightly.db`, which HIL_RESULTS names: a good one, a bad one, a killed one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_RESULTS", "nightly.db")
    monkeypatch.setenv("COLUMNS", "80")
    results = open_results("nightly.db")
    ids = []
    for night in range(3):
        run = results.begin(RunRecord("pytest", {"vela": "5.2.0"}, COMMAND, "lab-1"))
        ids.append(run.id)
        kws = run.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", "sim", {"accelerator": "ethos-u55-128"}))
        run.measurements(kws, [FigureRecord("npu_cycles", 83_112 + night, "cycles", "modelled")])
        run.measurements(kws, [FigureRecord("latency", 1.25, "ms", "measured", (1.0, 1.5))])
        run.test(TestRecord("t.py::a", "failed" if night else "passed", 1.0))
        if night == 1:
            run.verdict(VerdictRecord("kws-pqat", "sim", "npu_cycles", "worse", ids[0], message="1 cycle more"))
            run.failure(FailureRecord("t.py::a", "kws-pqat", "HangError", True, "no answer", board="b1"))
            run.board(BoardRecord("b1", "0123", "reset"))
        if night < 2:
            run.finish(night)
    results.set_baseline("main", ids[0])
    results.close()
    return ids


def hil(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    if done.exception:
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def as_json(*arguments: str) -> Any:
    return json.loads(hil(*arguments, "--json"))


def test_list_fits_a_terminal_and_tells_the_killed_run(nights: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = hil("results", "list").splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line[:2] == "20"]
    assert [row[0] for row in rows] == nights[::-1]
    assert [row[2] for row in rows] == ["unfinished", "1", "0"]
    assert rows[2][-1] == "main"
    assert len(hil("results", "list", "--limit", "1").split("\n20")) == 2
    narrow = "left out at 75 columns: deployments;"
    monkeypatch.setenv("COLUMNS", "75")
    assert narrow in " ".join(hil("results", "list").split())
    assert hil("results", "list", "--model", "resnet") == "nightly.db: no runs of resnet\n"
    newest, *_, oldest = as_json("results", "list", "--model", "kws")
    assert (newest["state"], newest["exit_code"], newest["finished"]) == ("unfinished", None, None)
    assert oldest["baselines"] == ["main"]
    assert oldest["counts"]["tests"] == {"passed": 1}


def test_show_has_everything_of_a_run(nights: list[str]) -> None:
    text = hil("results", "show", nights[1])
    for part in ("pytest --target sim", "exit code 1", "83,113", "measured, 2 times", "1 cycle more", "HangError"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
    run = as_json("results", "show", nights[1])
    assert run["identity"] == {"vela": "5.2.0"}
    (deployment,) = run["deployments"]
    assert [figure["name"] for figure in deployment["figures"]] == ["latency", "npu_cycles"]
    assert run["verdicts"][0]["verdict"] == "worse"
    assert [event.get("event", event.get("kind")) for event in run["boards"]] == ["HangError", "reset"]
    with pytest.raises(BadInputError, match="no run none"):
        hil("results", "show", "none")


def test_export_of_runs_as_json_and_csv(nights: list[str]) -> None:
    hil("results", "export", "main", nights[1], "-o", "runs.json")
    exported = json.loads(Path("runs.json").read_text())["runs"]
    assert [run["id"] for run in exported] == nights[:2]
    assert exported[1] == as_json("results", "show", nights[1])
    rows = list(csv.DictReader(io.StringIO(hil("results", "export", "main", "latest", "--format", "csv"))))
    assert [(row["run"], row["figure"], row["value"]) for row in rows[1::2]] == [
        (nights[0], "npu_cycles", "83112.0"),
        (nights[2], "npu_cycles", "83114.0"),
    ]
    assert rows[0]["repetitions"] == "1.0 1.5"
    assert json.loads(rows[0]["identity"]) == {"vela": "5.2.0", "accelerator": "ethos-u55-128"}
    with pytest.raises(BadInputError, match="there is no folder none"):
        hil("results", "export", "main", "-o", "none/runs.json")


def test_numbers_that_json_does_not_have_are_texts(nights: list[str]) -> None:
    run = open_results("nightly.db").join(nights[2])
    odd = [FigureRecord(name, float(name), "dB", "exact", (float(name),)) for name in ("nan", "inf", "-inf")]
    run.measurements(run.deployment(DeploymentRecord("odd", "odd", "ptq", "sim")), odd)
    text = hil("results", "export", "latest")
    for exported in json.loads(hil("results", "export", *nights))["runs"]:
        validate(exported, "run")
    (_, odd_one) = json.loads(text, parse_constant=pytest.fail)["runs"][0]["deployments"]
    assert [figure["value"] for figure in odd_one["figures"]] == ["-Infinity", "Infinity", "NaN"]
    assert "NaN" in hil("results", "show", "latest")


def test_baselines_are_named_moved_and_forgotten(nights: list[str]) -> None:
    assert as_json("results", "baseline")[0]["run"] == nights[0]
    moved = as_json("results", "baseline", "main", "latest")
    assert [(one["name"], one["run"]) for one in moved] == [("main", nights[2])]
    assert hil("results", "baseline", "main", "--delete") == "no baselines\n"
    for wrong in (("main",), ("--delete",), ("main", "latest", "--delete")):
        with pytest.raises(BadInputError, match="NAME RUN, or NAME --delete"):
            hil("results", "baseline", *wrong)


def test_prune_by_rule_spares_baselines(nights: list[str]) -> None:
    assert "would remove 2 runs, 4 figures" in hil("results", "prune", "--older-than", "0h", "--dry-run")
    assert as_json("results", "prune", "--unfinished")["removed"] == []  # it may be running
    assert as_json("results", "prune", "--older-than", "1d")["removed"] == []
    removed = as_json("results", "prune", "--keep", "1")
    assert [run["id"] for run in removed["removed"]] == [nights[1]]
    assert [run["id"] for run in as_json("results", "list")] == [nights[2], nights[0]]
    for wrong, message in (
        ((), "one rule says what to remove"),
        (("--keep", "1", "--unfinished"), "one rule says what to remove"),
        (("--older-than", "90"), "a number of hours, days or weeks"),
    ):
        with pytest.raises(BadInputError, match=message):
            hil("results", "prune", *wrong)


def test_exit_codes_and_no_password_in_the_output(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("text" * 100)
    secret = "postgresql://hil:top%2Dsecret@127.0.0.1:1/hil"
    for url, code, message in (
        ("text.db", 3, "hil: results database text.db: file is not a database (name another file)"),
        ("none.db", 2, "hil: there is no results database none.db"),
        ("\x1b[2Jnone\u202e.db", 2, "hil: there is no results database none.db"),
        ("mysql://hil:top%2Dsecret@h/db", 2, "hil: results cannot be written to mysql"),
        (secret, 3, "hil: results database postgresql+psycopg://hil:***@127.0.0.1:1/hil: "),
    ):
        done = forked.hil("results", "list", "--results", url)
        assert (done.returncode, done.stdout) == (code, "")
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(message), done.stderr
        assert "secret" not in done.stderr


def test_without_a_database_the_user_is_told_where_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIL_RESULTS")
    with pytest.raises(BadInputError, match=r"no results database is named \(--results URL, or HIL_RESULTS\)"):
        hil("results", "list")
    Path("pytest.ini").write_text("[pytest]\nhil_results = nightly.db\n")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert len(as_json("results", "list")) == 3
