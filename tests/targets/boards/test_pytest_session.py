"""A board that dies in the middle of a test session: its tests are infrastructure, the rest of the suite goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SILENT_S, MakeBoard, MakePlug

SUITE = """
import os, pathlib, pytest
from hil.targets.boards import Recovery, find_board, local_access

@pytest.fixture(scope="session")
def board():
    with Recovery.of(local_access(find_board(os.environ["BOARD"]))) as recovery:
        yield recovery

def test_before(board):
    board.attempt(lambda link: link.write(0x70000000, b"data"))

def test_dies(board):
    pathlib.Path(os.environ["POWERED"]).unlink()
    board.attempt(lambda link: link.read(0x70000000, 4))

@pytest.mark.parametrize("n", range(3))
def test_after(board, n):
    board.attempt(lambda link: link.read(0x70000000, 4))

def test_without_a_board():
    assert os.environ["VERDICT"] == "fine"
"""


@pytest.mark.parametrize(("verdict", "code"), [("fine", 6), ("a regression", 1)])
def test_a_lost_board_is_no_regression_and_hides_none(
    plug: MakePlug, described: MakeBoard, tmp_path: Path, verdict: str, code: int
) -> None:
    cable = plug()
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_suite.py").write_text(SUITE)
    board = described(cable, ways='"protocol"', boot_s=SILENT_S)
    environment = {"BOARD": str(board), "POWERED": str(cable.powered), "VERDICT": verdict}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest_embedded", "test_suite.py"],
        cwd=suite, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout
    assert "2 passed" in ended.stdout if verdict == "fine" else "1 passed" in ended.stdout
    assert "desk is out of order since test_suite.py::test_dies: BoardLostError: desk is lost" in " ".join(
        ended.stdout.split()
    )
    assert "3 more tests were not run on it" in ended.stdout
    assert ended.stdout.count("READ #") >= 1, "the transcript"
    assert "Traceback" not in ended.stdout
