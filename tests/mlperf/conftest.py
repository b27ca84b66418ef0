"""What the tests of the MLPerf Tiny protocol share: boards, and a book of answers for them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from .device import build, write_book

INPUT_BYTES = 70
"""More than two `db` commands."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a board's program by name; workers of one run share them."""
    if importlib.util.find_spec("ziglang") is None:
        reason = "the wheel ziglang is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / f"mlperf-{run}" if run else base / "mlperf"

    def get(name: str) -> Path:
        mine = folder / f"for-{name}"
        mine.mkdir(parents=True, exist_ok=True)
        with FileLock(mine / "lock"):
            return mine / name if (mine / name).exists() else build(name, mine)

    return get


@pytest.fixture(scope="session")
def answers() -> dict[bytes, list[str]]:
    """Some inputs with what the board is to print of each."""
    generator = np.random.default_rng(5)
    inputs = [generator.integers(0, 256, INPUT_BYTES, dtype=np.uint8).tobytes() for _ in range(3)]
    return {data: [f"{value / 256:.3f}" for value in generator.integers(0, 256, 12)] for data in inputs}


@pytest.fixture
def book(tmp_path: Path, answers: dict[bytes, list[str]]) -> Path:
    """The answers, for a board."""
    return write_book(tmp_path / "book", answers)
