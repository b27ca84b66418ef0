"""Compilation of the inner loops with numba, and the version of their code under which numba caches the result.

Importing this module imports numba.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])

COMPILED = (
    *("batch_loops.py", "byte_arguments.py", "byte_loops.py", "codec_loops.py", "compilation.py", "dot_products.py"),
)
"""Files with compiled functions, what these are made of, and how they are compiled."""

VERSION = hashlib.sha256(b"".join(Path(__file__).with_name(name).read_bytes() for name in COMPILED)).hexdigest()[:12]


def compiled(function: _F) -> _F:
    """Compiles `function` at its first call; caches the machine code on disk if numba finds a writable folder.

    numba reuses cached code until the function's own file changes, although code of other files is compiled into it.
    The cache is keyed by the function's name, so `VERSION`, a hash of all these files, becomes part of the name.
    """
    function.__qualname__ += f"_{VERSION}"
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(_F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # No folder can be written.
        return cast(_F, numba.njit(**options)(function))
