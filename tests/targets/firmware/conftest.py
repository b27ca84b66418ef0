"""Fixtures of the firmware's tests: its parts on this machine, built firmware, and boards that run it."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from hil.fvp.machine.qemu import MACHINE, PROGRAM
from hil.fvp.virtual_board.process import VirtualBoard
from hil.targets.firmware.build import DEFAULT_BOARD, build
from hil.targets.firmware.compilers import DEFAULT_CPU
from hil.targets.link import Link, open_channel

from .monitor_parts import library

COMPILERS = ["zig", *(["gcc"] if shutil.which("arm-none-eabi-gcc") else [])]
"""Arm's GCC is tested where it is; CI has none."""


@pytest.fixture(scope="session")
def parts(zig_wheel: None, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The monitor's parts, on this machine."""
    return library(tmp_path_factory.mktemp("parts"))


@dataclass(frozen=True)
class Booted:
    """A firmware that runs on QEMU: a link to it, and QEMU's process."""

    link: Link
    pid: int


Boot = Callable[..., Booted]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the firmware that the tests build."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def boot(zig_wheel: None, built: Path, missing: Callable[[object], NoReturn]) -> Iterator[Boot]:
    """`boot(board, compiler, cpu, machine)`: that firmware on stock QEMU, without an NPU."""
    if shutil.which(PROGRAM) is None:
        missing(f"{PROGRAM} is not installed")
    with contextlib.ExitStack() as stack:

        def start(
            board: str = DEFAULT_BOARD, compiler: str = "zig", cpu: str = DEFAULT_CPU, machine: str = MACHINE
        ) -> Booted:
            elf = build(board, compiler, built, cpu=cpu).elf
            command = [PROGRAM, "-M", machine, "-display", "none", "-monitor", "none", "-serial", "pty", "-kernel", elf]
            qemu = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
            stack.callback(qemu.wait)
            stack.callback(qemu.kill)
            assert qemu.stdout is not None
            stack.callback(qemu.stdout.close)
            told = re.search(r"/dev/\S+", qemu.stdout.readline())
            assert told, "QEMU has no pty"
            return Booted(stack.enter_context(Link(open_channel(told[0], baud=115200))), qemu.pid)

        yield start


@pytest.fixture(scope="module")
def board(zig_wheel: None, built: Path, missing: Callable[[object], NoReturn]) -> Iterator[Link]:
    """A link to the firmware on the virtual board, which has an Ethos-U55-128."""
    if shutil.which(PROGRAM) is None:
        missing(f"{PROGRAM} is not installed")
    elf = build(compiler="zig", folder=built).elf
    with VirtualBoard(elf, tcp=0) as virtual, Link(open_channel(virtual.url, baud=115200)) as link:
        yield link
