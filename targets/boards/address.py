"""From what a user writes behind `--board` to a board within reach.

with reach("virtual") as access: ...                # started for as long as it is wanted
with reach("place:corstone1") as access: ...        # a place of a lab, acquired and released
with reach("desk") as access: ...                   # a described board, or a TOML file, with @PORT or without
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from hil.targets.boards.access import BoardAccess
from hil.targets.boards.catalogue import find_board
from hil.targets.boards.local_port import desk

_PROVIDERS = {
    "virtual": "hil.targets.boards.virtual:reach",
    "place:": "hil.targets.lab:reach",
    "tag:": "hil.targets.lab:reach",
}
"""Beginning of the name, or the whole of it -> a function of the name that gives a context manager with its access;
what a lab has is described in the user's folder, too."""
BUILT_IN = {"virtual": "the firmware on QEMU with the NPU behind it, started for the run"}
"""Boards that need no description."""


@contextlib.contextmanager
def reach(name: str, folder: Path | None = None) -> Iterator[BoardAccess]:
    """The board `name`; raises `BadInputError` if there is none, and what its provider raises."""
    for known, provider in _PROVIDERS.items():
        of_lab = known.endswith(":")
        if name == known or (of_lab and name.startswith(known)):
            module, _, function = provider.partition(":")
            with getattr(import_module(module), function)(name, **({"folder": folder} if of_lab else {})) as access:
                yield access
            return
    yield desk(find_board(name, folder))
