"""Digest of an array that may be a file in memory: it is read part by part, and a file once in a process."""

from __future__ import annotations

import functools
import hashlib
import mmap
from pathlib import Path

import numpy as np

from hil.core.arrays import Array
from hil.core.file_digest import FileState
from hil.harness.data.samples import CHUNK_BYTES


def digest_array(array: Array) -> str:
    """Hashes the bytes of an array (n, ...); a file that is whole in memory is read again only after a change."""
    is_file = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.mode == "r"
    if is_file and array.flags.c_contiguous:
        state = FileState.of(Path(str(array.filename)))
        if state.settled:
            return _of_file(str(array.filename), state, array.offset, array.dtype.str, array.shape)
    return _digest(array)


@functools.lru_cache(1024)
def _of_file(name: str, state: FileState, offset: int, dtype: str, shape: tuple[int, ...]) -> str:
    return _digest(np.memmap(name, dtype, "r", offset, shape))


def _digest(array: Array) -> str:
    total, step = hashlib.sha256(), max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        total.update(np.ascontiguousarray(array[start : start + step]).data)
    return total.hexdigest()
