"""Starts QEMU as a command line asks.

    with start(line) as qemu: ...

This is the first thing that the executable does, and needs few imports: all others are made while QEMU starts.
"""

from __future__ import annotations

from hil.fvp import qemu, transfer
from hil.fvp.contract import CommandLine
from hil.fvp.uart import settings


def start(line: CommandLine) -> qemu.Qemu:
    """QEMU with the application of `line`, its CPU held; raises as `transfer.application` and `qemu.start` do."""
    application = transfer.application(line.application)
    semihosting = line.text("cpu0.semihosting-cmd_line") if line.flag("cpu0.semihosting-enable") else None
    uarts = [uart.number for uart in settings(line)]
    return qemu.start(application, uarts, semihosting, snapshots=int(line.parameter("open.samples")) > 1)
