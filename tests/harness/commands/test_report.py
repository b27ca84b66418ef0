"""`hil report` writes a page or Markdown, and says in one line what it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError, HilError, ResultsError
from hil.harness.cli import app
from tests.harness.report.lab import FIRST, NIGHTS, Lab


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nights 0 and 39 of the lab, of which the second is slower."""
    lab = Lab(str(tmp_path_factory.mktemp("lab") / "nightly.db"))
    for number in (8, NIGHTS - 1):
        lab.night(number)
    lab.results.set_baseline("main", lab.ids[0])
    assert lab.results.run("main").started > FIRST
    return Path(lab.url)


def hil(database: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["report", "--results", str(database), *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_markdown_goes_to_stdout_and_both_forms_into_files(database: Path, tmp_path: Path) -> None:
    text = hil(database)
    assert text.startswith("### worse: 1 figure of 1 deployment is worse than in main, most of all npu\\_cycles of ")
    assert hil(database, "-o", str(tmp_path / "report.md")) == ""
    assert (tmp_path / "report.md").read_text() == text
    assert hil(database, "-o", str(tmp_path / "report.txt"), "--format", "markdown", "--since", "26w") == ""
    assert (tmp_path / "report.txt").read_text() == text
    hil(database, "-o", str(tmp_path / "report.html"), "--baseline", "main")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_another_run_may_be_reported(database: Path) -> None:
    assert "there is no earlier run to compare with" in hil(database, "--run", "main")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "html"], "a page is written to a file"),
        (["-o", "report.pdf"], "report.pdf: its suffix names no form of a report"),
        (["-o", "none/report.md"], "there is no folder none"),
        (["--since", "soon"], "--since soon"),
        (["--run", "none"], "no run none"),
        (["--baseline", "none"], "no run none"),
    ],
)
def test_wrong_use_is_one_line(database: Path, words: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as raised:
        hil(database, *words)
    assert raised.value.exit_code == 2


def test_a_database_that_is_none_is_named_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("this is no database, but a text of some length" * 100)
    with pytest.raises(ResultsError) as raised:
        hil(tmp_path / "no.db", "-o", str(tmp_path / "report.md"))
    assert raised.value.exit_code == 3
    assert not (tmp_path / "report.md").exists()
    with pytest.raises(HilError, match="there is no results database"):
        hil(tmp_path / "none.db")
