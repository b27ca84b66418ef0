"""A firmware is written onto its board and onto no other; a board that does not run it afterwards is an error."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.commands.firmware import app
from hil.targets.boards import FlashError, WrongBoardError, find_board
from hil.targets.boards.description import Board, Flasher
from hil.targets.boards.external_program import run
from hil.targets.boards.flasher import check_image, command_of, flash, pyocd_words
from hil.targets.boards.local_port import local_access
from hil.targets.firmware.build import build
from hil.targets.firmware.load_image import LoadImage
from hil.targets.link import Identity, Image
from hil.targets.link.wire import Feature

from .conftest import SILENT_S, MakeBoard, MakeFirmware, MakePlug
from .plug import Plug


def flasher(cable: Plug, *words: str, limit_s: float = 600) -> str:
    """The TOML table of a flasher that copies: the plug starts the new firmware, which is there whole or not at all."""
    command = words or ("sh", "-c", 'cp -v "$1" "$2.new" && mv "$2.new" "$2"', "copy", "{elf}", str(cable.firmware))
    return f"[flash]\ncommand = {json.dumps(command)}\nlimit_s = {limit_s}\n"


def test_the_described_board_runs_the_new_firmware_afterwards(
    plug: MakePlug, described: MakeBoard, firmware: MakeFirmware
) -> None:
    cable = plug()
    said: list[str] = []
    board = find_board(str(described(cable, more=flasher(cable))))
    flashed = flash(local_access(board), firmware(version="monitor 2.0"), say=said.append)
    assert flashed.before is not None
    assert (flashed.before.firmware, flashed.after.firmware) == ("monitor 1.0", "monitor 2.0")
    assert any("monitor 2.0" in line for line in said), "what the flasher prints"
    assert cable.starts == 2


def test_a_firmware_that_was_written_in_part_is_told_by_its_crc() -> None:
    elf = build().elf.read_bytes()
    load = LoadImage.of(elf)
    start, size = load.pieces[0][0], sum(len(data) for _, data in load.pieces)
    right = load.crc(start, size)
    assert right is not None
    assert right == load.crc()
    assert load.crc(start, size + 1) is load.crc(start - 4, 8) is None
    board = Board("desk")
    said = Identity(1, "monitor", "bench", 0, 0, 0, 0, 0, 0, 0, 1, 0, Feature.IMAGE, ())
    check_image(board, said, elf)
    check_image(board, replace(said, image=Image(start, size, right)), elf)
    check_image(board, replace(said, image=Image(0x99, 4, 0)), elf)
    with pytest.raises(FlashError, match=f"desk runs code with CRC-32 00000001, flashed was {right:08x}"):
        check_image(board, replace(said, image=Image(start, size, 1)), elf)
    assert LoadImage.of(b"\x7fELF\x01").crc() is None


def test_a_wrong_board_is_never_flashed(plug: MakePlug, described: MakeBoard, firmware: MakeFirmware) -> None:
    cable = plug(board="other")
    access = local_access(find_board(str(described(cable, more=flasher(cable)))))
    for unidentified in (False, True):
        with pytest.raises(WrongBoardError, match="'other' answered, 'bench' is described"):
            flash(access, firmware(version="monitor 2.0"), unidentified=unidentified)
    assert cable.starts == 1


def test_a_blank_board_is_flashed_on_demand_only(
    plug: MakePlug, described: MakeBoard, firmware: MakeFirmware, tmp_path: Path
) -> None:
    cable = plug()
    cable.powered.unlink()
    access = local_access(find_board(str(described(cable, more=flasher(cable, "sh", "-c", "false"), boot_s=SILENT_S))))
    with pytest.raises(FlashError, match=r"does not say what it is.*--unidentified"):
        flash(access, firmware())
    both = tmp_path / "flash.sh"
    both.write_text('#!/bin/sh\nset -e\ncp "$1" "$2.new"\nmv "$2.new" "$2"\nmkdir "$3"\n')
    both.chmod(0o755)
    words = (str(both), "{elf}", str(cable.firmware), str(cable.powered))
    access = local_access(find_board(str(described(cable, more=flasher(cable, *words), boot_s=SILENT_S))))
    flashed = flash(access, firmware(version="monitor 2.0"), unidentified=True)
    assert (flashed.before, flashed.after.firmware) == (None, "monitor 2.0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("false",), "was not flashed: false ended with 1"),
        (("sleep", "3600"), "sleep did not end within 3 s"),
        (("no-such-program",), "no-such-program: no such program"),
        (("true",), "was not restarted"),
        (("touch", "POWERED"), "runs 'monitor 1.0', which is not what was flashed"),
    ],
)
def test_a_flasher_that_does_not_do_it_is_told(
    plug: MakePlug, described: MakeBoard, firmware: MakeFirmware, words: tuple[str, ...], message: str
) -> None:
    cable = plug()
    words = tuple(str(cable.powered) if word == "POWERED" else word for word in words)
    limit_s = 3 if words[0] == "sleep" else 600
    board = described(cable, more=flasher(cable, *words, limit_s=limit_s), boot_s=SILENT_S)
    access = local_access(find_board(str(board)))
    with pytest.raises(FlashError, match=message):
        flash(access, firmware(version="monitor 2.0"))


def test_a_firmware_of_another_board_is_noticed(plug: MakePlug, described: MakeBoard, firmware: MakeFirmware) -> None:
    cable = plug()
    access = local_access(find_board(str(described(cable, more=flasher(cable)))))
    with pytest.raises(WrongBoardError, match="'other' answered"):
        flash(access, firmware(board="other", version="monitor 2.0"))


def test_what_is_no_elf_is_not_flashed(plug: MakePlug, described: MakeBoard, tmp_path: Path) -> None:
    cable = plug()
    access = local_access(find_board(str(described(cable, more=flasher(cable)))))
    (tmp_path / "x.bin").write_bytes(b"text")
    for name, message in (("x.bin", "is no ELF file"), ("nowhere", "cannot be read")):
        with pytest.raises(BadInputError, match=message):
            flash(access, tmp_path / name)
    with pytest.raises(BadInputError, match="has no flasher"):
        flash(local_access(find_board(str(described(cable)))), cable.firmware)


def test_pyocd_gets_probe_target_and_pack_by_name() -> None:
    words = pyocd_words(Flasher("m55", probe="{serial}", pack="a.pack"), Path("/x.elf"), "FT1", Path("/lab/b.toml"))
    assert words == (
        *("load", "--no-wait", "--target", "m55", "--format", "elf"),
        *("--uid", "FT1", "--pack", "/lab/a.pack", "/x.elf"),
    )


def test_without_pyocd_its_extra_is_named(plug: MakePlug, described: MakeBoard) -> None:
    if importlib.util.find_spec("pyocd"):
        pytest.skip("pyOCD is installed here")  # Then its absence cannot be seen; no extra of the tests brings it.
    cable = plug()
    with pytest.raises(UnavailableError, match=r"pip install 'ethosu-hil\[flash\]'"):
        flash(local_access(find_board(str(described(cable, more='[flash]\npyocd = "m55"\n')))), cable.firmware)


def test_the_command_says_what_was_and_what_is(plug: MakePlug, described: MakeBoard, firmware: MakeFirmware) -> None:
    cable = plug()
    board = described(cable, more=flasher(cable))
    ended = CliRunner().invoke(app, ["flash", "--board", str(board), str(firmware(version="monitor 2.0")), "--json"])
    told = json.loads(ended.stdout)
    assert (told["board"], told["before"], told["after"]) == ("bench", "monitor 1.0", "monitor 2.0")


def test_the_command_says_why_there_is_no_firmware_to_flash(tmp_path: Path) -> None:
    board = tmp_path / "spotter.toml"
    board.write_text(
        'protocol = "mlperf"\naccelerator = "ethos-u55-128"\nreports = "kws01"\n[port]\npath = "/dev/ttyUSB99"\n'
    )
    with pytest.raises(BadInputError, match=r"spotter has other firmware than the monitor: .*an ELF of your own"):
        CliRunner().invoke(app, ["flash", "--board", str(board)], catch_exceptions=False)


def test_pyocd_never_takes_any_probe_for_one_that_is_not_known() -> None:
    with pytest.raises(BadInputError, match="does not tell the serial number"):
        pyocd_words(Flasher("m55", probe="{serial}"), Path("/x.elf"), "", None)


def test_pyocd_takes_no_probe_of_this_machine_for_a_board_elsewhere(plug: MakePlug, described: MakeBoard) -> None:
    board = find_board(str(described(plug(), more='[flash]\npyocd = "m55"\n')))
    with pytest.raises(BadInputError, match="which probe is its own"):
        command_of(board, Path("/x.elf"), "rfc2217://lab:4000")


def test_a_file_may_be_called_like_a_placeholder(tmp_path: Path) -> None:
    assert run(("echo", "{elf}", "{other}"), {"elf": "{other}"}, limit_s=10) == "{other} {other}\n"
