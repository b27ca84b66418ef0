"""Fixtures of the FVP's tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.corstone300 import COMMAND, Launch


@pytest.fixture
def fvp(qemu: None, tmp_path: Path) -> Launch:
    """Starts the executable with the given arguments in a folder of its own and waits for its end."""

    def launch(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, cwd=tmp_path)

    return launch
