"""A mistake in a board's file is one line with file and key; a right file describes the board."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.targets import board_address
from hil.targets.boards import find_board, names
from hil.targets.boards.description import BoardMemory, Flasher, Power, Usb

GOOD = """
title = "Desk"
reports = "mps3_an547"
accelerator = "ethos-u55-128"
[port]
vid = 0x0403
pid = 0x6011
serial = "FT1"
interface = "*UART 0*"
baud = 921600
[clocks]
npu_hz = 25_000_000
[memory.ddr]
address = 0x70000000
size = 0x1000000
[reset]
ways = ["rts", "protocol", "command", "power"]
command = ["resetter", "--port={port}"]
pulse_s = 0.2
[power]
off = ["usb", "off", "{serial}"]
on = ["usb", "on", "{serial}"]
[flash]
pyocd = "cortex_m"
probe = "{serial}"
"""


USB = GOOD[GOOD.index("vid = ") : GOOD.index("baud")]


def write(folder: Path, text: str, name: str = "desk.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_becomes_a_board(tmp_path: Path) -> None:
    board = find_board(write(tmp_path, GOOD))
    assert (board.name, board.protocol, board.baud, board.cpu_hz, board.npu_hz) == (
        "desk",
        "hil",
        921600,
        0,
        25_000_000,
    )
    assert board.usb == Usb(0x0403, 0x6011, "FT1", None, "*UART 0*")
    assert board.memory == (BoardMemory("ddr", 0x70000000, 0x1000000),)
    assert board.reset.ways == ("rts", "protocol", "command", "power")
    assert board.power == Power(("usb", "off", "{serial}"), ("usb", "on", "{serial}"))
    assert board.flasher == Flasher("cortex_m", "{serial}")


@pytest.mark.parametrize("name", sorted(names()))
def test_the_boards_that_come_with_the_package_are_right(name: str) -> None:
    board = find_board(f"{name}@/dev/ttyUSB3")
    assert (board.name, board.port) == (name, "/dev/ttyUSB3")
    assert board.reports == name, "the firmware's port of the same name says so of itself"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Desk"', 'titel = "Desk"', r"the top level has no key 'titel' \(did you mean title\?\)"),
        ('serial = "FT1"', 'serail = "FT1"', r"\[port\] has no key 'serail' \(did you mean serial\?\)"),
        ("baud = 921600", 'baud = "fast"', r"port.baud: is str 'fast', not a whole number"),
        ("baud = 921600", "baud = true", r"port.baud: is bool True, not a whole number"),
        ("baud = 921600", "baud = 5", r"port.baud: 5 is not within 300 to 20000000"),
        ("pid = 0x6011", "", r"port.pid: is missing"),
        ("vid = 0x0403", "vidd = 0x0403", r"port.vid: is missing, and has no default \(is vidd meant to be it\?\)"),
        ("vid = 0x0403\npid = 0x6011", "vidd = 1\npidd = 2", r"port.vid: is missing.* \(is vidd meant to be it\?\)"),
        (USB, "vidd = 1\npidd = 2\n", r"\[port\] has no key 'vidd' \(did you mean vid\?\)"),
        ("baud = 921600", "rtz = false", r"\[port\] has no key 'rtz' \(did you mean rts\?\)"),
        ("npu_hz = ", "npu_hertz = ", r"\[clocks\] has no key 'npu_hertz' \(did you mean npu_hz\?\)"),
        ("[flash]", "[flasher]", r"the top level has no key 'flasher' \(did you mean flash\?\)"),
        ("vid = 0x0403", 'path = "/dev/ttyS0"\nvid = 0x0403', r"port.path: one of path, url and vid with pid"),
        ('accelerator = "ethos-u55-128"', "", r"accelerator: is missing, and has no default"),
        ("ethos-u55-128", "ethos-u55-100", r"accelerator: 'ethos-u55-100' is none of ethos-u55-32"),
        ('"rts", ', '"hope", ', r"reset.ways: 'hope' is none of protocol"),
        ('"rts", ', '"power", ', r"reset.ways: names a way twice"),
        ("{port}", "{tty}", r"reset.command: \{tty\} is none of \{port\}, \{serial\}"),
        ("pulse_s = 0.2", "pulse_s = nan", r"reset.pulse_s: nan is not within"),
        ('on = ["usb", "on", "{serial}"]', "on = []", r"power.on: is missing or empty"),
        ('off = ["usb", "off", "{serial}"]', 'off = "usb off"', r"power.off: is str 'usb off', not a list of strings"),
        ('pyocd = "cortex_m"', "", r"flash.pyocd: either pyocd"),
        ('pyocd = "cortex_m"', 'pyocd = "--script=x"', r"flash.pyocd: begins with -"),
        ("size = 0x1000000", "size = 0x100000000", r"memory.ddr.size: 4294967296 is not within 1 to"),
        ("[clocks]", '[clocks]\nfast = true', r"\[clocks\] has no key 'fast'"),
        ("[clocks]", "[clocks", r"is no TOML"),
        ('title = "Desk"', 'based_on = "nowhere"', r"based_on: no board is called 'nowhere'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BadInputError, match=message) as caught:
        find_board(file)
    assert str(caught.value).startswith(file)
    assert "\n" not in str(caught.value)


def test_a_board_of_ones_own_is_based_on_another(tmp_path: Path) -> None:
    write(tmp_path, 'based_on = "mps3_an547"\n[port]\npath = "/dev/lab3"\n[clocks]\nnpu_hz = 25_000_000\n')
    board = find_board("desk", tmp_path)
    assert (board.reports, board.port, board.cpu_hz, board.npu_hz) == (
        "mps3_an547",
        "/dev/lab3",
        32_000_000,
        25_000_000,
    )


def test_ones_own_file_takes_the_place_of_ours_and_may_be_based_on_it(tmp_path: Path) -> None:
    write(tmp_path, 'based_on = "mps3_an547"\ntitle = "mine"\n', "mps3_an547.toml")
    board = find_board("mps3_an547", tmp_path)
    assert (board.title, board.npu.accelerator) == ("mine", "ethos-u55-128")


def test_boards_based_on_each_other_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, 'based_on = "b"\n', "a.toml")
    write(tmp_path, 'based_on = "a"\n', "b.toml")
    with pytest.raises(BadInputError, match="based_on"):
        find_board("a", tmp_path)


def test_a_name_nobody_has_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match=r"no board is called 'mps3_an574' \(did you mean mps3_an547\?\)"):
        find_board("mps3_an574")
    with pytest.raises(BadInputError, match=r"no board is called 'virtua' \(did you mean virtual\?\)"):
        board_address.check("virtua")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="is no TOML"):
        find_board(str(path))


def test_a_board_of_mlperf_tiny_is_reset_only_as_it_is_described(tmp_path: Path) -> None:
    text = 'protocol = "mlperf"\naccelerator = "ethos-u65-256"\n'
    board = find_board(write(tmp_path, text))
    assert (board.reset.ways, board.npu.system_config) == ((), "Ethos_U65_High_End")
    with pytest.raises(BadInputError, match=r"reset.ways: 'protocol': the protocol mlperf knows no reset"):
        find_board(write(tmp_path, text + '[reset]\nways = ["protocol"]\n'))
