"""Fixtures of the machine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.keeping_board import KeepingBoard


@pytest.fixture
def board(qemu: None, tmp_path: Path) -> KeepingBoard:
    """A board in a folder of its own, with a store that is empty."""
    return KeepingBoard(tmp_path)
