"""DTR and RTS over a real RFC 2217 connection: a terminal server's, for a pty has no such lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hil.targets.boards import BoardLostError, Recovery, ResetError, StuckError, find_board
from hil.targets.boards.local_port import local_access
from hil.targets.link import Link
from hil.targets.serial import SerialOptions
from hil.targets.serial.target import SerialTarget
from tests.support import terminal_server

from .conftest import MakeBoard, MakeFirmware, MakePlug

RAM = 0x70000000


@pytest.mark.parametrize("line", ["dtr", "rts"])
def test_a_board_is_reset_by_its_line(firmware: MakeFirmware, tmp_path: Path, line: str) -> None:
    """One that is held in reset for as long as the line is asserted, as it would be by merely opening the port."""
    program = [sys.executable, terminal_server.__file__, firmware(), line]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        file = tmp_path / "lab.toml"
        file.write_text(
            f'accelerator = "ethos-u55-128"\nreports = "bench"\n'
            f'[port]\nurl = "rfc2217://127.0.0.1:{port}"\n{line} = false\n'
            f'[reset]\nways = ["{line}"]\npulse_s = 0.05\nboot_s = 2\n'
        )
        worked: list[bytes] = []

        def work(link: Link) -> bytes:
            """Sees that RAM is empty after the reset, which it was not before."""
            if not worked:
                link.write(RAM, b"before")
                worked.append(link.read(RAM, 6))
                raise StuckError("the NPU is stuck")
            return link.read(RAM, 6)

        with Recovery.of(local_access(find_board(str(file)))) as recovery:
            assert recovery.attempt(work) == bytes(6)
        assert worked == [b"before"]
        server.stdin.close()  # type: ignore[union-attr]


def test_a_lost_board_is_told_by_its_cause_and_not_by_a_reset_that_could_not_be_done(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(
        f'accelerator = "ethos-u55-128"\n[port]\npath = "{tmp_path}/unplugged"\n'
        f'[reset]\nways = ["command"]\ncommand = ["{tmp_path}/no-such-program"]\nboot_s = 0.1\n'
    )
    recovery = Recovery.of(local_access(find_board(str(file))))
    with recovery, pytest.raises(BoardLostError, match="unplugged is not there; tried: again, command") as lost:
        recovery.attempt(lambda link: link.crc(RAM, 16))
    assert "no such program" in lost.value.log


def test_a_line_that_is_not_there_is_told_and_the_next_way_gone(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    access = local_access(find_board(str(described(cable, ways='"dtr", "power"'))))
    with pytest.raises(ResetError, match="DTR cannot be set"):
        access.ways["dtr"]()
    times: list[int] = []

    def work(link: Link) -> int:
        times.append(1)
        if len(times) == 1:
            raise StuckError("the NPU is stuck")
        return link.crc(RAM, 16)

    with Recovery.of(access) as recovery:
        recovery.attempt(work)
        assert recovery.recoveries == 2
    assert cable.starts == 2


def test_a_restart_power_cycles_the_board_where_it_can(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    target = SerialTarget(SerialOptions(board=str(described(cable))))
    before = target.identity()
    target.restart()
    assert (target.identity(), cable.starts) == (before, 2)
    target.close()
