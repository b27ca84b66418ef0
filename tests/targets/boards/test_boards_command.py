"""`hil boards` lists described boards, their ports and identities; silent ports cost a bounded time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support import forked

from .conftest import SILENT_S, MakeBoard, MakePlug


def hil(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return forked.hil(*words)


def test_the_list_has_every_board_and_what_those_say_that_are_there(
    plug: MakePlug, described: MakeBoard, tmp_path: Path
) -> None:
    silent = plug("tty1")
    silent.mute = True
    described(plug(), name="good"), described(plug(board="other"), name="wrong"), described(silent, name="silent")
    (tmp_path / "broken.toml").write_text("baud = 1")
    ended = hil("boards", "--probe", "--json", "--folder", tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in json.loads(ended.stdout)["boards"]}
    (good,) = rows["good"]["answers"]
    assert (good["board"], good["firmware"], good["accelerator"]) == ("bench", "monitor 1.0", "ethos-u55-128")
    assert (good["npu_hz"], good["memory"], good["trouble"]) == (32_000_000, 256 << 10, "")
    assert "'other' answered" in rows["wrong"]["answers"][0]["trouble"]
    assert "no answer" in rows["silent"]["answers"][0]["trouble"]
    assert "accelerator: is missing" in rows["broken"]["trouble"]
    assert "names no port" in rows["mps3_an547"]["trouble"]
    assert "virtual" in rows
    assert "good" in hil("boards", "--folder", tmp_path).stdout


def test_one_board_is_asked_and_its_trouble_is_the_exit_code(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    board = described(cable, boot_s=SILENT_S)
    ended = hil("boards", "probe", board)
    assert ended.returncode == 0, ended.stderr
    assert "bench, firmware monitor 1.0, ethos-u55-128, CPU 32 MHz, NPU 32 MHz, 256 KB free" in ended.stdout
    cable.powered.unlink()
    ended = hil("boards", "probe", board)
    assert ended.returncode == 3
    assert "no answer" in ended.stderr
    assert hil("boards", "probe", "nobody").returncode == 2
