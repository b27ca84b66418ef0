"""One thread for NumPy's matrix products while the NPU runs.

The products of a small network are too short for a pool of threads: on two cores, two threads made 2,000 inferences 17
times slower than one (8.5 s against 0.5).  Who wants more cores runs more processes.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import lru_cache
from typing import Any


def one_thread() -> Any:
    """A context manager; outside of it the number of threads is what it was."""
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")


@lru_cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
