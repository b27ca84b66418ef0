"""Firmware that is made here, in the place of Arm's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hil.fvp.inference import firmware
from tests.support.thumb import Program

MESSAGE = b"INFO - Allocating tensors\n"
"""Line that the stuck firmware prints."""


def own_firmware(path: Path, program: Program) -> firmware.Firmware:
    """Writes a program to `path` as firmware in the memory map of Arm's runner."""
    path.write_bytes(program.elf())
    return replace(firmware.runner(), path=path)


def stuck_firmware(path: Path) -> firmware.Firmware:
    """Firmware that prints a line and stands still."""
    program = Program()
    program.send(MESSAGE)
    program.code(0xE7FE)
    return own_firmware(path, program)
