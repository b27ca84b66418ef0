"""Limits NumPy's matrix products to one BLAS thread while the NPU model runs.

Matrix products of a small network are too short for a pool of threads: on two cores, two threads made 2,000 inferences
17 times slower than one (8.5 s against 0.5).  To use more cores, run more processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which NumPy's matrix products use one thread; restores the previous number at its end.

    (`ThreadpoolController.limit` does the same in twenty microseconds, a fourth of a small inference.)
    """
    changed = []
    for library in _libraries():
        threads = library.num_threads
        if threads != 1:
            library.set_num_threads(1)
            changed.append((library, threads))
    try:
        yield
    finally:
        for library, threads in changed:
            library.set_num_threads(threads)


@lru_cache
def _libraries() -> tuple[Any, ...]:
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return ()
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)
