"""Finds the Python that has labgrid.

It has an environment of its own: labgrid depends on `pyserial-labgrid`, whose package `serial` is not the `serial` of
pyserial that this project uses.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from hil.core.errors import UnavailableError

VARIABLE = "HIL_LABGRID"
_PROGRAM = "labgrid-client"
_PYTHONS = ("python", "python3", "python.exe")
_HINT = f"python -m venv lab; lab/bin/pip install labgrid; then {VARIABLE}=lab, or its {_PROGRAM} in PATH"


def find_python() -> Path:
    """By `HIL_LABGRID` (a Python, or the folder of its environment), `labgrid-client` in PATH, or this Python itself.

    Raises `UnavailableError` if none of them has it.
    """
    given = os.environ.get(VARIABLE)
    if given:
        path = Path(given)
        found = path if path.is_file() else _in(path / "bin") or _in(path / "Scripts")
        if found is None:
            raise UnavailableError(f"{VARIABLE}={given} is no Python, and no environment with one", hint=_HINT)
        return found
    program = shutil.which(_PROGRAM)
    beside = _in(Path(program).resolve().parent) if program else None
    if beside is not None:
        return beside
    if importlib.util.find_spec("labgrid") is not None:
        return Path(sys.executable)
    raise UnavailableError("labgrid is not installed", hint=_HINT)


def _in(folder: Path) -> Path | None:
    return next((folder / name for name in _PYTHONS if (folder / name).is_file()), None)
