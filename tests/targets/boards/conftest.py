"""Fixtures of the boards' tests: a board's firmware for this machine, and a cable it hangs on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil.targets.firmware.build import SOURCES
from hil.targets.firmware.compilers import zig

from .plug import Plug

NPU_128, NPU_256 = 0x1807, 0x1808
MakeFirmware = Callable[..., Path]
MakePlug = Callable[..., Plug]
MakeBoard = Callable[..., Path]
SILENT_S = 2.0
"""Time to boot of a board that is silent in a test, for that is waited for; others may be late on a busy machine."""


@pytest.fixture(autouse=True)
def locks_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the tests does not wait for boards that its user works with."""
    monkeypatch.setenv("HIL_LOCKS", str(tmp_path / "locks"))


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory, zig_wheel: None) -> bytes:
    protocol, elf = SOURCES / "protocol", tmp_path_factory.mktemp("board") / "board"
    sources = [Path(__file__).with_name("board.c"), *sorted(protocol.glob("*.c"))]
    command = [zig(), "cc", "-O1", "-Wall", "-Wextra", "-Werror", "-I", protocol, *sources, "-o", elf]
    subprocess.run([str(word) for word in command], check=True)
    return elf.read_bytes()


@pytest.fixture
def firmware(_built: bytes, tmp_path: Path) -> MakeFirmware:
    """`firmware(board, version, npu_config, serial)`: the file of a firmware that reports these values."""

    def make(board: str = "bench", version: str = "monitor 1.0", npu_config: int = NPU_128, serial: str = "") -> Path:
        at = _built.index(b"HIL_ID>\0") + 8
        told = board.encode().ljust(32, b"\0") + version.encode().ljust(32, b"\0") + npu_config.to_bytes(4, "little")
        told += serial.encode().ljust(32, b"\0")
        path = tmp_path / f"{board}-{version}-{npu_config:x}-{serial}.elf"
        path.write_bytes(_built[:at] + told + _built[at + len(told) :])
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def plug(firmware: MakeFirmware, tmp_path: Path) -> Iterator[MakePlug]:
    """`plug(name, **identity)`: a board on a cable; all are pulled at the end."""
    made: list[Plug] = []

    def make(name: str = "tty0", **identity: object) -> Plug:
        folder = tmp_path / f"bench{len(made)}"
        folder.mkdir()
        made.append(Plug(folder, firmware(**identity), name))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def described(tmp_path: Path) -> MakeBoard:
    """`described(plug, more)`: the TOML file of the board on a cable, with a power switch; `more` goes at its end."""

    def make(
        plug: Plug, ways: str = '"protocol", "power"', more: str = "", name: str = "desk", boot_s: float = 60
    ) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'reports = "bench"\naccelerator = "ethos-u55-128"\n'
            f'[port]\npath = "{plug.path}"\n'
            f"[reset]\nways = [{ways}]\nboot_s = {boot_s}\n"
            f'[power]\noff = ["rm", "-rf", "{plug.powered}"]\non = ["mkdir", "-p", "{plug.powered}"]\n'
            f"pause_s = 0.05\n{more}"
        )
        return path

    return make
