"""The firmware of a described board: its port, CPU and baud rate come from the description."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError
from hil.harness.commands.firmware import app
from hil.targets.boards import find_board, names
from hil.targets.boards.description import FirmwarePort
from hil.targets.boards.firmware import build_for
from hil.targets.firmware.build import boards, build

TOP = 'accelerator = "ethos-u55-128"\n'


def write(folder: Path, text: str) -> str:
    path = folder / "desk.toml"
    path.write_text(TOP + text)
    return str(path)


def test_every_board_of_this_package_has_a_port_and_every_port_a_board(tmp_path: Path) -> None:
    assert {find_board(name, tmp_path).reports for name in names(tmp_path)} == set(boards())


@pytest.mark.usefixtures("zig_wheel")
def test_port_cpu_and_baud_rate_are_those_of_the_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_STORE", str(tmp_path / "store"))
    (tmp_path / "mine.h").write_text('#include "mps3_an547.h"\n')
    text = '[port]\nbaud = 921600\n[firmware]\nport = "mine.h"\ncpu = "cortex-m33"\n'
    desk = write(tmp_path, text)
    board = find_board(desk)
    assert board.firmware == FirmwarePort(str(tmp_path / "mine.h"), "cortex-m33")
    built = build_for(board)
    assert built.sha256 == build(str(tmp_path / "mine.h"), baud=921_600, cpu="cortex-m33").sha256
    assert built.sha256 != build(str(tmp_path / "mine.h"), baud=115_200, cpu="cortex-m33").sha256
    done = CliRunner().invoke(app, ["build", "--board", desk, "--json"])
    assert json.loads(done.stdout)["sha256"] == built.sha256


WITHOUT = {
    'reports = "alif_e7"\n': r"desk has no port of the monitor firmware: there is none called 'alif_e7' \(\[firmware\]",
    "": "its description has no `reports`",
    'protocol = "mlperf"\n': "other firmware than the monitor: protocol mlperf",
    '[firmware]\nport = "none.h"\n': "no port .*none.h: there is no such file",
    '[firmware]\nport = "mps3_an547"\ncpu = "cortex-a53"\n': "firmware.cpu: 'cortex-a53' is none of cortex-m4",
    '[firmware]\ncpu = "cortex-m55"\n': "firmware.port: is missing",
}


@pytest.mark.parametrize(("text", "why"), WITHOUT.items(), ids=range(len(WITHOUT)))
def test_why_a_board_has_no_firmware_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why) as told:
        build_for(find_board(write(tmp_path, text)))
    assert "\n" not in str(told.value)
