"""Relative file names in a model file: they begin at the folder of the file in which they stand.

    with names_beside(Path("models/flowers.py")):
        beside("images/{split}")        # models/images/{split}

Outside of such a block they begin at the working folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_FOLDER: ContextVar[Path] = ContextVar("folder", default=Path())


@contextmanager
def names_beside(file: Path) -> Iterator[None]:
    """Lets relative names begin at the folder of `file`, which is loaded in the block."""
    token = _FOLDER.set(file.parent)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def beside(path: str | Path) -> Path:
    """Returns a path that begins at the folder of the file that is being loaded; outside, at the working folder."""
    return _FOLDER.get() / path
