"""A port is found by its device's identity, and one run at a time has it, also when runs are killed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.targets.boards import BoardAccess, InUseError, PortError, find_board
from hil.targets.boards.connection import HeldPort
from hil.targets.boards.description import Board, Usb
from hil.targets.boards.port_lock import PortLock
from hil.targets.boards.ports import PortCandidate, find_candidate, find_port, matching

FTDI = [
    PortCandidate(f"/dev/ttyUSB{n}", 0x0403, 0x6011, "FT1" if n < 2 else "FT2", "Quad RS232-HS", f"UART {n % 2}")
    for n in range(4)
]
HERE = [PortCandidate("/dev/ttyS0"), *FTDI, PortCandidate("/dev/ttyACM0", 0x0416, 0x5200, "A")]

HOLDER = """
import sys, time
from hil.targets.boards.port_lock import PortLock
lock = PortLock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("usb", "found"),
    [
        (Usb(0x0403, 0x6011), FTDI),
        (Usb(0x0403, 0x6011, "FT2"), FTDI[2:]),
        (Usb(0x0403, 0x6011, "FT2", "quad*", "uart 1"), FTDI[3:]),
        (Usb(0x0403, 0x6011, "FT"), []),
        (Usb(0x0403, 0x6010), []),
    ],
)
def test_a_usb_board_is_known_by_what_it_says_on_the_bus(usb: Usb, found: list[PortCandidate]) -> None:
    assert matching(Board("desk", usb=usb), HERE) == found


def test_a_link_to_a_port_is_the_port(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/ttyUSB2")
    assert matching(Board("desk", port=str(link)), HERE) == [FTDI[2]]


def test_several_ports_are_listed_rather_than_one_guessed() -> None:
    with pytest.raises(PortError, match=r"2 ports are USB 0403:6011, serial number FT1: /dev/ttyUSB0 \(.*/dev/ttyUSB1"):
        find_candidate(Board("desk", usb=Usb(0x0403, 0x6011, "FT1")), HERE)
    with pytest.raises(PortError, match=r"no port is USB 1234:0001 \(ports here: /dev/ttyS0; "):
        find_candidate(Board("desk", usb=Usb(0x1234, 1)), HERE)


def test_a_board_without_a_port_is_wrong_use() -> None:
    with pytest.raises(BadInputError, match="names no port"):
        find_port(find_board("mps3_an547"))
    with pytest.raises(PortError, match="port /dev/nowhere is not there"):
        find_port(find_board("mps3_an547@/dev/nowhere"))


def test_an_url_is_its_own_port() -> None:
    assert find_port(find_board("mps3_an547@socket://127.0.0.1:5000")) == "socket://127.0.0.1:5000"


def hold(port: str) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, port], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_two_runs_do_not_share_a_port_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    port, link = os.ttyname(slave), tmp_path / "by-id"
    link.symlink_to(port)
    said: list[str] = []
    with hold(port) as holder:
        try:
            began = time.monotonic()
            with pytest.raises(InUseError, match=rf"held by process {holder.pid} \(-c .*, also after 0.3 s"):
                PortLock(str(link), patience_s=0.3, say=said.append)
            assert time.monotonic() - began >= 0.3
            assert f"process {holder.pid}" in said[0]
            assert "waiting up to 0.3 s" in said[0]
            PortLock("/dev/another").release()
        finally:
            holder.kill()
    PortLock(port).release()
    os.close(master)
    os.close(slave)


def test_a_note_that_lies_breaks_nothing(tmp_path: Path) -> None:
    with hold("/dev/x") as holder:
        note = next((tmp_path / "locks").glob("*.holder"))
        for lie in ("", "{}", json.dumps({"pid": "x", "command": "\x1b[31m", "since": 1e300}), "[" * 5000):
            note.write_text(lie)
            with pytest.raises(InUseError, match="held by another process"):
                PortLock("/dev/x")
        holder.kill()


def test_a_port_that_is_found_by_another_of_its_names_is_still_held(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/null")
    found = iter(["/dev/null", str(link)])
    held = HeldPort(BoardAccess(find_board("mps3_an547"), lambda: next(found)), patience_s=0.2)
    assert [held.find(), held.find()] == ["/dev/null", str(link)]
    held.release()
    PortLock("/dev/null").release()


def test_a_name_that_no_port_can_have_is_told() -> None:
    with pytest.raises(PortError, match="is not there"):
        find_port(find_board(f"mps3_an547@/dev/{'x' * 300}"))
