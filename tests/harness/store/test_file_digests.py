"""Digests of data files: read once, and again when a file has changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hil.core import file_digest
from hil.harness.store.file_digests import digest_data
from hil.harness.store.store import digest_files


def age(path: Path) -> None:
    then = time.time() - 3600
    os.utime(path, (then, then))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once: nobody can set back the time of a file's last change."""
    monkeypatch.setattr(file_digest, "_SETTLED_NS", -1_000_000_000)


def notes(root: Path) -> list[Path]:
    return list(root.rglob("file_digests/*"))


def test_it_is_the_digest_of_names_and_contents_and_is_noted(tmp_path: Path, settled: None) -> None:
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_text(f"of {file.name}")
    expected = digest_files(files)
    assert digest_data(files, tmp_path / "store") == expected
    (note,) = notes(tmp_path)
    note.write_text("noted")
    assert digest_data(files, tmp_path / "store") == "noted"


@pytest.mark.parametrize("change", ["content", "name", "order"])
def test_what_changed_is_read_again(tmp_path: Path, settled: None, change: str) -> None:
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_text(f"of {file.name}")
    before = digest_data(files, tmp_path / "store")
    if change == "content":
        files[0].write_text("of A")
        age(files[0])  # as an editor or rsync may set it
    elif change == "name":
        files[0] = files[0].rename(tmp_path / "c")
    else:
        files.reverse()
    assert digest_data(files, tmp_path / "store") == digest_files(files) != before


def test_files_that_have_just_changed_are_not_noted(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("now")
    digest_data([file], tmp_path / "store")
    assert not notes(tmp_path)


def test_a_store_that_cannot_be_written_costs_only_time(tmp_path: Path, settled: None) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    (tmp_path / "store").write_text("no folder")
    assert digest_data([file], tmp_path / "store") == digest_files([file])
