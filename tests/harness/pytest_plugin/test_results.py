"""A session is kept in the results database as its tests end, and judged against a baseline."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.harness.results import open_results
from hil.harness.results.records import SELECTION
from tests.support.blobs import model_file, write

from .blob_suite import run

SIM = ("--target", "sim")
WHOLE = "def test_holds(parity, accuracy, latency, memory, budget):\n    budget.check()\n"
MODEL = model_file().replace("max_latency_ms=1.0", "max_latency_ms=float('inf')")
"""A budget that `host` can check, too."""
pytestmark = pytest.mark.xdist_group("results-of-blobs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """A repository whose first session has the name `main` in `nightly.db`."""
    made = write(tmp_path_factory.mktemp("nightly"), {"models/blobs.py": MODEL, "test_it.py": WHOLE})
    done = session(made, store, "--baseline", "main", "--update-baseline")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def session(
    folder: Path, store: Path, *arguments: str, results: str = "nightly.db"
) -> subprocess.CompletedProcess[str]:
    return run(folder, store, *SIM, f"--results={results}", *arguments)


def last(folder: Path) -> tuple[str, int | None, dict[str, int]]:
    newest = open_results(str(folder / "nightly.db")).run("latest")
    return newest.state, newest.exit_code, dict(newest.tests)


def last_id(folder: Path) -> str:
    return open_results(str(folder / "nightly.db")).run("latest").id


def test_figures_identity_and_gates_are_kept(folder: Path) -> None:
    results = open_results(str(folder / "nightly.db"))
    kept = results.run("main")
    assert (kept.state, kept.exit_code, dict(kept.tests)) == ("finished", 0, {"passed": 2})
    assert {"harness", "python", "cpu"} <= kept.record.identity.keys()
    pqat, ptq = results.figures(kept.id)
    assert (ptq.record.name, pqat.record.name) == ("blobs-ptq", "blobs-pqat")
    names = {"tflite", "sram", "flash", "encoded_weights", "npu_cycles", "latency", "mismatches", "accuracy", "zeros"}
    assert names <= pqat.figures.keys()
    assert (pqat.figures["npu_cycles"].unit, pqat.figures["npu_cycles"].trust) == ("cycles", "modelled")
    identity = pqat.record.identity
    assert identity["metric"] == "top1, higher is better"
    assert json.loads(identity["recipe"])["pqat"]["epochs"] == 1
    assert {"int8_sha256", "network", "data", "vela", "accelerator", "engine_version", "tensorflow"} <= identity.keys()


def test_a_worse_run_fails_where_it_may_be_compared(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ("--accelerator", "ethos-u55-32", "--baseline", "main")
    done = session(folder, store, *other)
    assert done.returncode == 0, done.stdout
    assert "this run against main: 10 not comparable, 8 same" in done.stdout
    assert "not comparable: npu ethos-u55-128 -> ethos-u55-32" in done.stdout
    assert session(folder, store, *other, "--strict-baseline").returncode == 1
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    done = session(folder, store, *other, "--vary", "accelerator", "--junitxml=junit.xml")
    assert done.returncode == 1, done.stdout
    assert "worse" in done.stdout
    row = re.search(r"\| blobs-ptq \| npu\\_cycles \| ([\d,]+) \|", (folder / "summary.md").read_text())
    assert row
    verdict = f'name="hil_verdict_npu_cycles" value="worse: {row[1]} -&gt; '
    assert verdict in (folder / "junit.xml").read_text()
    command = [
        sys.executable,
        "-m",
        "hil.harness.cli",
        "compare",
        "latest",
        "main",
        "--results",
        "nightly.db",
        "--vary",
        "accelerator",
    ]
    compared = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert compared.returncode == 1, compared.stderr
    (head,) = (line for line in done.stdout.splitlines() if line.startswith("this run against main"))
    assert compared.stdout.splitlines()[0] == head.replace("this run", "latest")


def test_the_gates_of_ini_file_model_and_mark_decide(folder: Path, store: Path, tmp_path: Path) -> None:
    loose = MODEL.replace("    budget=", "    gates={'latency': 'off'},\n    budget=")
    mark = "import pytest\n\n@pytest.mark.hil_gate(sram='1 KiB')\n"
    ini = "[pytest]\nhil_gates =\n    npu_cycles: 1000 %\n    latency: 1 %\n    flash: off\n"
    write(tmp_path, {"models/blobs.py": loose, "test_it.py": mark + WHOLE, "pytest.ini": ini})
    other = ("--accelerator", "ethos-u55-32", "--vary", "accelerator")
    done = session(tmp_path, store, "--baseline", "main", *other, results=str(folder / "nightly.db"))
    assert done.returncode == 0, done.stdout
    results = open_results(str(folder / "nightly.db"))
    record = results.figures(results.run("latest").id)[0].record
    assert record.gates == {"npu_cycles": "1000 %", "latency": "off", "flash": "off", "sram": "1 KiB"}


def test_a_figure_that_no_test_asks_for_any_more_is_not_passed(folder: Path, store: Path, tmp_path: Path) -> None:
    without = "def test_sizes(memory, budget):\n    assert memory.sram_bytes < budget.max_sram_bytes\n"
    no_drop = MODEL.replace("max_accuracy_drop=0.5, ", "")
    write(tmp_path, {"models/blobs.py": no_drop, "test_it.py": without})
    done = session(tmp_path, store, "--baseline", "main", results=str(folder / "nightly.db"))
    assert done.returncode == 1, done.stdout
    assert "missing: no test asked for it" in done.stdout


def test_data_that_fit_no_metric_end_no_session(store: Path, tmp_path: Path, blobs_int8: Path) -> None:
    given = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    return np.zeros((8, 8, 8, 1), "float32"), np.zeros((8, 7), "float32")

model = Model("given", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""
    write(tmp_path, {"models/given.py": given, "test_it.py": "def test_it(latency):\n    assert latency.cycles\n"})
    (tmp_path / "models/int8.tflite").write_bytes(blobs_int8.read_bytes())
    done = session(tmp_path, store)
    assert done.returncode == 0, done.stdout + done.stderr
    (given_int8,) = open_results(str(tmp_path / "nightly.db")).figures(last_id(tmp_path))
    assert "npu_cycles" in given_int8.figures


def test_a_run_that_tests_no_deployment_is_no_pass(folder: Path, store: Path, tmp_path: Path) -> None:
    gone = MODEL.replace("def files():\n    ", 'def files():\n    raise UnavailableError("no blobs here")')
    write(tmp_path, {"models/blobs.py": gone, "test_it.py": WHOLE})
    done = session(tmp_path, store, "--baseline", "main", results=str(folder / "nightly.db"))
    assert done.returncode == 1, done.stdout
    assert "this run against main: 18 missing" in done.stdout
    assert "missing: no test ran this deployment (blobs-pqat, blobs-ptq)" in done.stdout


def test_tests_that_the_user_left_out_are_not_missing(folder: Path, store: Path) -> None:
    done = session(folder, store, "--technique", "ptq", "--baseline", "main")
    assert done.returncode == 0, done.stdout
    assert "compared is what the chosen tests measured" in done.stdout
    assert "this run against main: 9 same" in done.stdout
    assert SELECTION in open_results(str(folder / "nightly.db")).run(last_id(folder)).record.identity


def test_workers_of_xdist_write_each_deployment_once(folder: Path, store: Path) -> None:
    done = run(folder, store, *SIM, "--results", "nightly.db", "--baseline", "main", "-n", "2", plugins=("xdist",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert last(folder) == ("finished", 0, {"passed": 2})
    assert "this run against main: 18 same" in done.stdout


def test_the_layers_of_a_profile_that_a_test_asks_for_are_kept(folder: Path, store: Path, tmp_path: Path) -> None:
    asks = WHOLE.replace("budget)", "budget, profile)")
    made = write(tmp_path, {"models/blobs.py": MODEL, "test_it.py": asks})
    done = session(made, store, "--technique", "ptq", "--hil-report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    (ptq,) = open_results(str(made / "nightly.db")).figures(last_id(made))
    assert {one.title.partition(" ")[0] for one in ptq.layers} <= {"CONV_2D", "FULLY_CONNECTED", "RESHAPE", "SOFTMAX"}
    assert all(one.cycles > 0 and one.bound for one in ptq.layers)
    assert ptq.layers[0].title in (made / "report.html").read_text()


def test_a_killed_run_leaves_what_was_finished(folder: Path, store: Path) -> None:
    hangs = "import time\n\ndef test_b(deployment):\n    time.sleep(600) if deployment.path == 'pqat' else None\n"
    (folder / "test_it.py").write_text(WHOLE.replace("test_holds", "test_a") + hangs)
    command = [sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", "-p", "no:xdist", "-q", "--target", "sim"]
    environment = {**os.environ, "HIL_STORE": str(store), "HIL_RESULTS": str(folder / "nightly.db")}
    before = open_results(str(folder / "nightly.db")).run("latest").id
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            newest = open_results(str(folder / "nightly.db")).run("latest")
            if newest.id != before and newest.tests.get("passed") == 3:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.2)
    (folder / "test_it.py").write_text(WHOLE)
    assert last(folder) == ("unfinished", None, {"passed": 3})


def test_a_session_that_was_stopped_is_unfinished(folder: Path, store: Path) -> None:
    (folder / "test_it.py").write_text("def test_a(memory):\n    assert not memory.sram_bytes\n")
    done = session(folder, store, "-x", "--baseline", "main")
    (folder / "test_it.py").write_text(WHOLE)
    assert done.returncode == 1
    assert last(folder) == ("unfinished", None, {"failed": 1})


def test_a_gate_of_no_figure_fails(folder: Path, store: Path, tmp_path: Path) -> None:
    ini = "[pytest]\nhil_gates =\n    npu_cycle: 2 %\n    flush: off\n    latency: 2 %\n"
    write(tmp_path, {"models/blobs.py": MODEL, "test_it.py": WHOLE, "pytest.ini": ini})
    done = session(tmp_path, store, "--technique", "ptq", results=str(folder / "nightly.db"))
    assert done.returncode == 1, done.stdout
    assert "a gate names the figure npu_cycle, which no deployment has" in done.stdout
    assert "flush" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--results", "mysql://host/db"), "mysql"),
        (("--baseline", "nobody"), "no run nobody"),
        (("--vary", "colour"), "no part of an identity"),
        (("--update-baseline",), "no baseline is named"),
    ],
)
def test_wrong_use_is_one_line_before_any_test(
    folder: Path, store: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = session(folder, store, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert message in line


def test_a_database_that_fails_costs_no_result(folder: Path, store: Path) -> None:
    (folder / "text.db").write_text("this is no database\n" * 100)
    done = session(folder, store, results="text.db")
    assert done.returncode == 6, done.stdout + done.stderr
    assert "the results are not in the database" in done.stdout
    assert "2 passed" in done.stdout
    assert "blobs: float base top1" in done.stdout


def test_a_path_that_pytest_takes_for_tests_is_told(folder: Path, store: Path, tmp_path: Path) -> None:
    write(tmp_path, {"models/blobs.py": MODEL, "test_it.py": WHOLE})
    done = run(tmp_path, store, *SIM, "--results", str(folder / "nightly.db"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert f"(write --results={folder / 'nightly.db'})" in done.stderr
