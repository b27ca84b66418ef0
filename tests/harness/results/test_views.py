"""The views for other programs: what they hold, and the tools that docs/results-database.md reads them with."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results
from hil.harness.results.address import parse_url
from hil.harness.results.records import VerdictRecord
from tests.support.postgresql import Server

pytestmark = pytest.mark.xdist_group("postgresql")

DOCS = Path(__file__).parents[3] / "docs" / "results-database.md"
SAID = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)


def fill(url: str) -> tuple[str, str]:
    """Two nights of one deployment and a run of another one that was killed; returns the ids of the nights."""
    results = open_results(url)
    nights = []
    for cycles, exit_code in ((83_112, 0), (91_200, 1)):
        run = results.begin(RunRecord("pytest", {"commit": f"c{exit_code}"}))
        identity = {"accelerator": "ethos-u55-128", "memory_mode": "Shared_Sram", "vela": "5.2.0"}
        kws = run.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", "sim", identity))
        run.measurements(kws, [FigureRecord("npu_cycles", cycles, "cycles", "modelled")])
        run.finish(exit_code)
        nights.append(run.id)
    run = results.join(nights[1])
    run.verdict(
        VerdictRecord(
            *("kws-pqat", "sim", "npu_cycles", "worse", nights[0], 91_200, 83_112, "cycles"), details={"fails": True}
        )
    )
    killed = results.begin(RunRecord("pytest"))
    board = killed.deployment(DeploymentRecord("kws-pqat", "kws", "pqat", "serial", {"board": "desk"}))
    figures = [FigureRecord(name, 1.25, "ms", "measured") for name in ("latency", "latency#2")]
    killed.measurements(board, figures)
    results.close()
    return nights[0], nights[1]


def read(url: str, statement: str) -> list[dict[str, Any]]:
    engine = sqlalchemy.create_engine(parse_url(url))
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sqlalchemy.text(statement)).mappings()]
    engine.dispose()
    return found


def test_the_views_hold_what_the_docs_say(results_url: str) -> None:
    first, second = fill(results_url)
    trend = read(results_url, "SELECT * FROM trend WHERE target = 'sim' ORDER BY started")
    assert [(row["run"], row["value"], row["commit_id"]) for row in trend] == [
        (first, 83_112, "c0"),
        (second, 91_200, "c1"),
    ]
    place = {name: trend[0][name] for name in ("deployment", "model", "path", "accelerator", "memory_mode", "board")}
    assert [*place.values()] == ["kws-pqat", "kws", "pqat", "ethos-u55-128", "Shared_Sram", ""]
    latest = read(results_url, "SELECT * FROM latest ORDER BY target")
    assert [(row["target"], row["figure"], row["value"], row["state"]) for row in latest] == [
        ("serial", "latency", 1.25, "unfinished"),
        ("sim", "npu_cycles", 91_200, "finished"),
    ]
    (verdict,) = read(results_url, "SELECT * FROM verdicts")
    assert (verdict["run"], verdict["against"], verdict["verdict"], verdict["fails"]) == (second, first, "worse", 1)
    documented = dict(SAID.findall(DOCS.read_text(encoding="utf-8")))
    for view, rows in (("trend", trend), ("latest", latest), ("verdicts", [verdict])):
        columns = re.findall(r"`(\w+)`", documented[view if view != "latest" else "trend"])
        assert [*rows[0]] == columns, view


def commands(program: str) -> list[list[str]]:
    """The commands of the docs that begin with `program`."""
    lines = DOCS.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    found = [shlex.split(line[2:]) for line in lines if line.startswith(f"$ {program} ")]
    assert found
    return found


def test_datasette_reads_them(tmp_path: Path) -> None:
    fill(str(tmp_path / "nightly.db"))
    rows = []
    for command in commands("datasette"):
        if "--get" not in command:  # the server for people, which does not end
            continue
        command[0] = str(Path(sysconfig.get_path("scripts")) / command[0])
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows += json.loads(done.stdout)
    assert [(row["figure"], row["value"]) for row in rows if row["target"] == "sim"] == [("npu_cycles", 91_200)]


def test_psql_reads_them(postgresql: Server) -> None:
    url = postgresql.new_database()
    fill(url)
    (command,) = commands("psql")
    command[1] = url.replace("postgresql+psycopg", "postgresql")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"[\w-]+", done.stdout.splitlines()[2]) == [
        "kws-pqat",
        "sim",
        "npu_cycles",
        "worse",
        "83112",
        "91200",
    ]
