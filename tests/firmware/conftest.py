"""What the firmware's tests share: its parts on this machine, built firmware, and boards that run it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

import pytest

from .parts import library


def _missing(reason: str) -> None:
    """Skips where something is not installed, and fails where CI says that it should be."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def zig_wheel() -> None:
    """The test compiles C."""
    if importlib.util.find_spec("ziglang") is None:
        _missing("the wheel ziglang is not installed")


@pytest.fixture(scope="session")
def parts(zig_wheel: None, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The monitor's parts, on this machine."""
    return library(tmp_path_factory.mktemp("parts"))
