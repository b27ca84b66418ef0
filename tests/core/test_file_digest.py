"""Digest of a file that is asked for often: it is read once, and again after every change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hil.core import file_digest
from hil.core.file_digest import sha256_of, sha256_once


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as settled at once: nobody can set back the time of a file's last change."""
    monkeypatch.setattr(file_digest, "_SETTLED_NS", -1_000_000_000)
    path = tmp_path / "file"
    path.write_bytes(b"before")
    return path


def reads(path: Path) -> int:
    """Returns how often asking for the digest reads the file: 0 or 1."""
    before = file_digest._digest.cache_info().misses
    assert sha256_once(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    return file_digest._digest.cache_info().misses - before


def test_a_file_that_stays_as_it_was_is_read_once(file: Path) -> None:
    assert [reads(file) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("change", ["content", "size", "replaced", "touched"])
def test_a_file_that_changed_is_read_again(file: Path, change: str) -> None:
    assert reads(file) == 1
    before = file.stat()
    if change == "replaced":
        other = file.with_suffix(".new")
        other.write_bytes(b"BEFORE")
        other.rename(file)
    elif change != "touched":
        file.write_bytes(b"BEFORE" if change == "content" else b"after it")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + (change == "touched")))
    assert reads(file) == 1


def test_a_file_that_has_just_changed_is_read_every_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"now")
    before = file_digest._digest.cache_info().currsize
    assert sha256_once(path) == sha256_of(path)
    assert file_digest._digest.cache_info().currsize == before
