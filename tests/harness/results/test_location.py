"""The place of the results database: option, variable, ini file; and no password in a recorded command."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.results import open_results
from hil.harness.results.location import default_results_url, hide_passwords, ini_results, results_url
from hil.harness.results.records import RunRecord
from tests.support.blobs import write


def test_the_option_comes_first_then_the_variable_then_the_ini_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIL_RESULTS", raising=False)
    assert results_url(None, None) is None
    assert results_url(None, "ini.db") == "ini.db"
    monkeypatch.setenv("HIL_RESULTS", "variable.db")
    assert results_url(None, "ini.db") == "variable.db"
    assert results_url("option.db", "ini.db") == "option.db"
    assert results_url("", "ini.db") is None
    monkeypatch.setenv("HIL_RESULTS", "")
    assert results_url(None, "ini.db") == "ini.db"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nightly.db", "/lab/nightly.db"),
        ("/var/nightly.db", "/var/nightly.db"),
        ("sqlite:///nightly.db", "sqlite:////lab/nightly.db"),
        ("sqlite:///nightly.db?timeout=3", "sqlite:////lab/nightly.db?timeout=3"),
        ("sqlite:////var/nightly.db", "sqlite:////var/nightly.db"),
        ("sqlite:///file:/var/x.db?uri=true", "sqlite:///file:/var/x.db?uri=true"),
        ("postgresql://lab@db/hil", "postgresql://lab@db/hil"),
    ],
)
def test_a_relative_path_in_the_ini_file_is_below_its_folder(value: str, expected: str) -> None:
    assert results_url(None, value, Path("/lab")) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nhil_results = 100%.db\n"),
        ("tox.ini", "[tox]\n[pytest]\nhil_results = 100%.db\n"),
        ("setup.cfg", "[tool:pytest]\nhil_results = 100%.db\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nhil_results = "100%.db"\n'),
        ("pytest.toml", '[pytest]\nhil_results = "100%.db"\n'),
    ],
)
def test_files_of_pytests_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.delenv("HIL_RESULTS", raising=False)
    write(tmp_path, {name: text, "below/setup.cfg": "[metadata]\n", "below/pyproject.toml": "[tool.ruff]\n"})
    monkeypatch.chdir(tmp_path / "below")
    assert ini_results(tmp_path / "below") == ("100%.db", tmp_path)
    assert default_results_url(None) == str(tmp_path / "100%.db")


def test_the_nearest_settings_decide_and_broken_ones_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, {"pytest.ini": "[pytest]\nhil_results = x.db\n", "below/pytest.ini": "[pytest]\n"})
    assert ini_results(tmp_path / "below") == (None, tmp_path / "below")
    write(tmp_path, {"below/pyproject.toml": "[tool.pytest\n", "below/pytest.ini": "hil_results = x\n"})
    with pytest.raises(BadInputError, match=r"pytest.ini cannot be read: "):
        ini_results(tmp_path / "below")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("--results postgresql://lab:secret@db/hil -q", "--results postgresql://lab:***@db/hil -q"),
        ("postgresql://lab:se/cr@et:@db/hil", "postgresql://lab:***@db/hil"),
        ("postgresql://:secret@db/hil", "postgresql://:***@db/hil"),
        ("postgresql:///hil?host=db&password=secret&x=1", "postgresql:///hil?host=db&password=***&x=1"),
        ("postgresql://lab@db:5432/hil", "postgresql://lab@db:5432/hil"),
        ("see https://example.org/a:b and user@example.org", "see https://example.org/a:b and user@example.org"),
    ],
)
def test_passwords_of_urls_are_hidden(text: str, hidden: str) -> None:
    assert hide_passwords(text) == hidden


def test_a_recorded_command_has_no_password(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "x.db"))
    results.begin(RunRecord("pytest", command=("pytest", "--results=postgresql://lab:secret@db/hil")))
    assert results.run("latest").record.command == ("pytest", "--results=postgresql://lab:***@db/hil")
    assert b"secret" not in (tmp_path / "x.db").read_bytes() + (tmp_path / "x.db-wal").read_bytes()
