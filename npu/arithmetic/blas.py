"""One thread for NumPy's matrix products while the NPU runs.

The products of a small network are too short for a pool of threads: on two cores, two threads made 2,000 inferences 17
times slower than one (8.5 s against 0.5).  Who wants more cores runs more processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it NumPy's products have one thread; outside of it as many as before.

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
