"""The tutorial is right: a reader who types its files and commands sees what it shows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hil.fvp.inference.firmware import Firmware
from tests.support.page_session import ShownCommand, difference, page_steps, run_page

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"


def test_the_tutorial_prints_what_it_shows(tmp_path: Path, runner: Firmware) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "TF_USE_LEGACY_KERAS")}
    environment |= {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"])),
        "HIL_STORE": str(tmp_path / "store"),
        # pytest-embedded owns the option --target
        "PYTEST_ADDOPTS": f"{environment.get('PYTEST_ADDOPTS', '')} -p no:pytest_embedded -p no:xdist",
    }
    turns = run_page(PAGE, tmp_path, environment)
    for turn in turns:
        told = f"$ {turn.command}\n{turn.out}\n{turn.err}"
        assert not turn.code, told
        assert not turn.difference, f"{turn.difference}\n{told}"
    assert len(turns) == sum(isinstance(step, ShownCommand) for step in page_steps(PAGE.read_text()))


SHOWN = """\
leaf  status  drop   cycles
───────────────────────────
ptq   met     -0.3   32,313
...
============= 1 passed in ... =============
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("-0.3", "+0.9"),
        ("32,313", "29,000"),
        ("───\n", "─────\n"),
        ("...\n", "more\nlines\n"),
        ("passed in ...", "passed in 3.14s"),
    ],
)
def test_what_may_differ_between_two_machines(old: str, new: str) -> None:
    assert not difference(SHOWN, SHOWN.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("met", "missed"),
        ("-0.3", "-2.3"),
        ("32,313", "16,000"),
        ("32,313", ""),
        ("1 passed", "2 passed"),
        ("leaf", "a line before\nleaf"),
        ("============= 1 passed", "1 passed"),
        ("...\n", ""),
    ],
)
def test_what_may_not_differ(old: str, new: str) -> None:
    printed = SHOWN.replace(old, new).replace("...", "other")
    shown = SHOWN if old != "...\n" else SHOWN + "one line more\n"
    assert difference(shown, printed)


def test_what_was_printed_beyond_what_is_shown_is_a_difference() -> None:
    assert not difference("a b", "a b")
    assert difference("a b", "a b c")
    assert difference("", "a")
    assert not difference("...", "a")
