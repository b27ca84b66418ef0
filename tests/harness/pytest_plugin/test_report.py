"""`--hil-report FILE` writes a report at the end of a session, whatever its result; a bad file is found before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.harness.results import open_results
from tests.support.blobs import model_file, write

from .blob_suite import run

HOLDS = "def test_holds(parity, accuracy, latency, memory, budget):\n    budget.check()\n"
FAILS = "\n\ndef test_fails(parity):\n    assert parity.mismatches == 1\n"
SIM = ("--target", "sim", "--model", "blobs")
pytestmark = pytest.mark.xdist_group("report-of-blobs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("report"), {"models/blobs.py": model_file(), "test_it.py": HOLDS + FAILS})


@pytest.mark.nightly
def test_without_a_database_it_shows_this_run_alone(folder: Path, store: Path) -> None:
    done = run(folder, store, *SIM, "--hil-report", "session.md")
    assert done.returncode == 1, done.stdout
    assert f"report: {folder / 'session.md'}" in done.stdout
    assert "results ===" not in done.stdout
    text = (folder / "session.md").read_text()
    verdict = "### failed: 2 deployments ran; there is no earlier run to compare with; 2 of 4 tests failed."
    assert text.startswith(verdict)
    assert "- test\\_it.py::test\\_fails\\[blobs-ptq\\]: AssertionError: assert 0 == 1" in text
    assert not list(folder.glob("*.db*"))


def test_with_a_database_and_workers_it_is_that_of_the_run(folder: Path, store: Path) -> None:
    arguments = (*SIM, "--results=nightly.db", "-n", "2")
    assert run(folder, store, *arguments, "--report=report.html", plugins=("xdist",)).returncode == 1
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    done = run(folder, store, *arguments, "--report=report.md", plugins=("xdist",))
    assert done.returncode == 1, done.stdout
    newest, first = open_results(str(folder / "nightly.db")).runs()
    text = (folder / "report.md").read_text()
    assert f"no figure is worse than in {first.id}" in text
    assert f"run {newest.id} of" in text


@pytest.mark.parametrize(
    ("file", "message"),
    [("none/report.md", "there is no folder"), ("report.txt", ".txt is no known format")],
)
def test_a_file_that_cannot_be_written_is_wrong_use(folder: Path, store: Path, file: str, message: str) -> None:
    done = run(folder, store, *SIM, "--hil-report", file)
    assert (done.returncode, message in done.stderr) == (4, True), done.stderr


def test_a_report_that_fails_leaves_the_session_as_it_is(folder: Path, store: Path) -> None:
    gone = f"import shutil\n\n\n{HOLDS}    shutil.rmtree('gone')\n"
    write(folder, {"other/test_gone.py": gone})
    (folder / "gone").mkdir()
    done = run(folder, store, *SIM, "--technique", "ptq", "--hil-report", "gone/report.md", "other")
    assert done.returncode == 0, done.stdout
    assert "the report was not written: InfrastructureError" in done.stdout
