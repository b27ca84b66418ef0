"""Folders of datasets: named by a variable, or `data/NAME` in the folder that HIL_TEST_DATA names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hil.core.errors import UnavailableError


def folder(variable: str, name: str, holds: Sequence[str], hint: str) -> Path:
    """Returns the folder that has all of the files or folders `holds`.

    Raises `UnavailableError` with the hint if neither place has them.
    """
    named, shared = os.environ.get(variable, ""), os.environ.get("HIL_TEST_DATA", "")
    place = Path(named) if named else Path(shared) / "data" / name if shared else None
    if place is None or not all((place / one).exists() for one in holds):
        where = f" in {place}" if named else ""
        raise UnavailableError(f"the data {name} is not on this machine{where}", hint=hint)
    return place
