"""Digest of an array that may be a file in memory: it is read part by part."""

from __future__ import annotations

import hashlib

import numpy as np

from hil.core.arrays import Array
from hil.harness.data.samples import CHUNK_BYTES


def digest_array(array: Array) -> str:
    """Hashes the bytes of an array (n, ...)."""
    total, step = hashlib.sha256(), max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        total.update(np.ascontiguousarray(array[start : start + step]).data)
    return total.hexdigest()
