"""Digest of an array: of its bytes alone, whether it lies in memory or in a file, and however often it is asked for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from hil.core import file_digest
from hil.harness.data import array_digest
from hil.harness.data.array_digest import digest_array

ARRAY = np.arange(60, dtype=np.int16).reshape(10, 3, 2)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with `ARRAY` that counts as settled at once: nobody can set back the time of a file's last change."""
    monkeypatch.setattr(file_digest, "_SETTLED_NS", -1_000_000_000)
    path = tmp_path / "array.npy"
    np.save(path, ARRAY)
    return path


def expected(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def misses() -> int:
    return array_digest._of_file.cache_info().misses


def test_a_file_is_read_once_and_gives_what_its_array_gives_in_memory(file: Path) -> None:
    before = misses()
    for _ in range(3):
        assert digest_array(np.load(file, mmap_mode="r")) == digest_array(ARRAY) == expected(ARRAY)
    assert misses() == before + 1


@pytest.mark.parametrize("part", [slice(2, 5), slice(None, None, 2), [7, 1]], ids=["slice", "step", "rows"])
def test_a_part_of_a_file_is_not_taken_for_the_whole(file: Path, part: slice | list[int]) -> None:
    whole = np.load(file, mmap_mode="r")
    digest_array(whole)
    assert digest_array(whole[part]) == expected(ARRAY[part])
    assert digest_array(whole.reshape(5, -1)) == expected(ARRAY)
    assert digest_array(whole.view(np.uint16)) == expected(ARRAY)


def test_an_array_in_the_order_of_columns_is_hashed_in_that_of_rows(file: Path) -> None:
    np.save(file, np.asfortranarray(ARRAY))
    assert digest_array(np.load(file, mmap_mode="r")) == expected(ARRAY)


def test_a_file_that_changed_is_read_again(file: Path) -> None:
    assert digest_array(np.load(file, mmap_mode="r")) == expected(ARRAY)
    before = file.stat()
    np.save(file, ARRAY + 1)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest_array(np.load(file, mmap_mode="r")) == expected(ARRAY + 1)


def test_an_array_that_may_be_written_is_read_every_time(file: Path) -> None:
    array = np.load(file, mmap_mode="r+")
    assert digest_array(array) == expected(ARRAY)
    array[0] += 1
    assert digest_array(array) == expected(np.asarray(array)) != expected(ARRAY)
