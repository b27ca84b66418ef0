"""An FVP is ended for computing or waiting too long on one sample, however long that takes on the wall's clock."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hil.core.errors import BootError, HangError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.engines.engine import Engine
from hil.fvp.inference.launch import launch
from tests.support.arm_program import program

SLOW = """
import sys, time
for sample in range(3):
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        time.sleep(0.006)  # another process has the processor
        sum(range(100_000))
    sys.stdout.write(f"sample {sample}" + chr(4))
    sys.stdout.flush()
"""


def run(path: Path, *lines: str, limit_s: float, samples: int = 1) -> list[str]:
    engine = Engine("arm", "", (str(program(path, *lines)),), modelled=False)
    return launch(engine, CommandLine(), [], limit_s=limit_s, samples=samples)


def test_one_that_gets_little_of_a_processor_has_the_time_it_needs(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    texts = run(tmp_path / "fvp", f"exec {sys.executable} {tmp_path}/slow.py", limit_s=1.0, samples=3)
    assert texts[:3] == ["sample 0", "sample 1", "sample 2"]


def test_one_that_waits_or_computes_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"printed nothing: the FVP is waiting for 0\.3 s without"):
        run(tmp_path / "waits", "exec sleep 600", limit_s=0.3)
    with pytest.raises(HangError, match=r"did not end: the FVP is computing for 0\.3 s .*; its last line: ready"):
        run(tmp_path / "computes", "echo ready; while :; do :; done", limit_s=0.3)
    with pytest.raises(HangError, match=r"the FVP is waiting for 0\.3 s"):
        run(tmp_path / "closes", "echo ready; exec 1>&-; exec sleep 600", limit_s=0.3)


def test_what_it_left_running_does_not_hold_its_end(tmp_path: Path) -> None:
    assert run(tmp_path / "fvp", "sleep 20 &", "echo done", limit_s=10) == ["done\n"]
