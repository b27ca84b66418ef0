"""MLPerf Tiny's published trained networks, where this machine has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def published(name: str, otherwise: Callable[[], Any]) -> Path | Callable[[], Any]:
    """Returns the file or SavedModel `models/keras/NAME` in the folder that HIL_TEST_DATA names, else `otherwise`.

    A network read from there is trained; one that `otherwise` builds is trained by the recipe.
    """
    shared = os.environ.get("HIL_TEST_DATA", "")
    path = Path(shared) / "models" / "keras" / name
    return path if shared and path.exists() else otherwise
