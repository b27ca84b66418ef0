"""The UART's log of a run: whole where firmware says little, bounded where it never ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import FvpError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.engines.engine import Engine
from hil.fvp.inference.launch import launch
from hil.fvp.inference.uart_log import MOST_BYTES, Logs
from tests.support.arm_program import program


def test_each_sample_has_its_own_log() -> None:
    logs = Logs(3)
    for data in (b"one", b" more\x04tw", b"o\x04", b"\xc3", b"\xa4"):
        logs.take(data)
    assert (logs.texts(), logs.complete) == (["one more", "two", "ä"], 2)


def test_one_sample_may_send_any_byte() -> None:
    logs = Logs(1)
    logs.take(b"a\x04b")
    assert logs.texts() == ["a\x04b"]


def test_start_and_end_of_an_endless_log_are_kept() -> None:
    logs = Logs(1)
    logs.take(b"start;")
    for _ in range(40):
        logs.take(b"x" * (MOST_BYTES // 8))
    logs.take(b";end")
    (text,) = logs.texts()
    assert text.startswith("start;x")
    assert text.endswith("x;end")
    assert "bytes are not kept]" in text
    assert len(text) < 2 * MOST_BYTES


def test_more_samples_than_were_asked_for_are_noticed_and_not_all_kept() -> None:
    logs = Logs(2)
    logs.take(b"\x04" * 1000)
    assert len(logs.texts()) == 3


@pytest.mark.parametrize("end", ["exit 3", "echo INFO - HardFault; exec sleep 30"])
def test_what_an_fvp_prints_without_end_does_not_fill_memory(tmp_path: Path, end: str) -> None:
    """Its log, its messages and the error are of bounded size, and the line that ends the run is still seen."""
    endless = program(
        tmp_path / "fvp", "yes | tr -d '\\n' | head -c 30000000", "yes | head -c 9000000 >&2", f"echo; {end}"
    )
    with pytest.raises(FvpError) as caught:
        launch(Engine("arm", "", (str(endless),), modelled=False), CommandLine(), [], limit_s=20)
    assert len(str(caught.value)) < 1000
    assert len(caught.value.log) < 2 * MOST_BYTES
