"""A forked command has arguments, folder, environment, output and exit code of its own, and nothing of TensorFlow."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.forked import IMPORTED, run

PROGRAM = """
import atexit, os, sys
atexit.register(print, "end")
print(sys.argv[1:], os.getcwd(), os.environ.get("OF_THIS_TEST"), "HOME" in os.environ, "tensorflow" in sys.modules)
print(BEFORE if "BEFORE" in dir(__import__("builtins")) else "nothing before", file=sys.stderr)
sys.exit(3)
"""


def test_it_is_as_if_it_had_been_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run("program", "a", 1, cwd=tmp_path, env={"OF_THIS_TEST": "é"}, code="__builtins__['BEFORE'] = 'before'")
    assert (done.returncode, done.stderr) == (3, "before\n")
    assert done.stdout == f"['a', '1'] {tmp_path} é False False\nend\n"
    monkeypatch.chdir(tmp_path)
    again = run("program")
    assert again.stdout == f"[] {tmp_path} None {'HOME' in os.environ} False\nend\n"
    assert again.stderr == "nothing before\n"


def test_an_exception_is_told_and_a_signal_is_its_code(tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text("1 / 0\n")
    (tmp_path / "dies.py").write_text("import os\nos.abort()\n")
    raised = run("raises", cwd=tmp_path)
    assert raised.returncode == 1
    assert "ZeroDivisionError" in raised.stderr
    assert run("dies", cwd=tmp_path).returncode == -6


def test_what_is_imported_before_exists() -> None:
    assert all(map(find_spec, IMPORTED))
