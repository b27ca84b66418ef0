"""Starts QEMU as a command line asks.

    with start(line) as qemu: ...

This is the first thing that the executable does, and needs few imports: all others are made while QEMU starts.
"""

from __future__ import annotations

from pathlib import Path

from hil.fvp.command_line import elf
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine import qemu
from hil.fvp.machine.uart import settings


def start(line: CommandLine) -> qemu.Qemu:
    """QEMU with the application of `line`, its CPU held; raises as `elf.check` and `qemu.start` do."""
    application = line.application or Path()
    elf.check(application, "the application")
    semihosting = line.text("cpu0.semihosting-cmd_line") if line.flag("cpu0.semihosting-enable") else None
    uarts = [uart.number for uart in settings(line)]
    snapshots = int(line.parameter("open.samples")) > 1 or bool(line.text("open.store"))
    return qemu.start(application, uarts, semihosting, snapshots=snapshots)
