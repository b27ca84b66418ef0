"""Description of a board: the values of its TOML file.

    from hil.targets.boards import find_board

    board = find_board("mps3_an547")
    board.npu.accelerator, board.baud, board.reset.ways

The file's keys are in docs/boards.md; `hil.targets.boards.description_file` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hil.core.npu_config import DEFAULT_NPU, NpuConfig

WAYS = ("protocol", "dtr", "rts", "command", "power")
"""The ways of resetting a board, as `[reset] ways` names them."""
PROTOCOLS = ("hil", "mlperf")


@dataclass(frozen=True)
class Usb:
    """A board's port on the USB bus, independent of its device name.

    `serial` is compared whole; `description` and `interface` are shell patterns, compared without case.  None: any.
    """

    vid: int
    pid: int
    serial: str | None = None
    description: str | None = None
    interface: str | None = None

    def __str__(self) -> str:
        told = [f"USB {self.vid:04x}:{self.pid:04x}"]
        told += [
            f"{name} {value}"
            for name, value in (
                ("serial number", self.serial),
                ("description", self.description),
                ("interface", self.interface),
            )
            if value is not None
        ]
        return ", ".join(told)


@dataclass(frozen=True)
class BoardMemory:
    """Part of the board's memory that the host may use; `address` and `size` in bytes."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Reset:
    """Reset of a board: `ways` in the order in which they are tried.

    `pulse_s` is the length of a pulse of DTR or RTS, `boot_s` the longest time until the board answers, both in
    seconds. `command` is the argument list of the way `command`.
    """

    ways: tuple[str, ...] = ("protocol",)
    pulse_s: float = 0.1
    boot_s: float = 5.0
    command: tuple[str, ...] = ()
    limit_s: float = 30.0


@dataclass(frozen=True)
class Power:
    """The commands that switch the board's supply, and how many seconds it stays off in between."""

    off: tuple[str, ...]
    on: tuple[str, ...]
    pause_s: float = 2.0
    limit_s: float = 30.0


@dataclass(frozen=True)
class Flasher:
    """Flasher of a board: pyOCD, by the name of its target, or a command; exactly one of both.

    `probe` is the unique ID of pyOCD's debug probe (empty: the only one), `pack` a CMSIS pack's file that knows the
    target (empty: pyOCD's own and installed ones), `limit_s` in seconds.
    """

    pyocd: str = ""
    probe: str = ""
    pack: str = ""
    command: tuple[str, ...] = ()
    limit_s: float = 300.0


@dataclass(frozen=True)
class FirmwarePort:
    """Port of the monitor firmware for a board: its name in this package or its header, and the CPU."""

    port: str
    cpu: str


@dataclass(frozen=True)
class Board:
    """A board: where it is, what it speaks, what is on it, and how to get it back when it is lost.

    `port` is a path or an URL of pyserial; with neither it nor `usb` the board must be named with its port
    (`NAME@PORT`).  `lines` are the levels of DTR and RTS while the port is open, where they matter.  `reports` is the
    board's name in its own answer (empty: any).  `npu` is the NPU it has, in Vela's words.  Clocks are in Hz,
    0 where the firmware's word is taken.  `memory` limits what of the announced memory is used; empty: all.
    `firmware` is None where `reports` names the port.  `source` is the file, None for a board that is not described by
    one.
    """

    name: str
    title: str = ""
    protocol: str = "hil"
    port: str = ""
    usb: Usb | None = None
    baud: int = 115200
    lines: tuple[tuple[str, bool], ...] = ()
    reports: str = ""
    npu: NpuConfig = DEFAULT_NPU
    cpu_hz: int = 0
    npu_hz: int = 0
    memory: tuple[BoardMemory, ...] = ()
    reset: Reset = field(default_factory=Reset)
    power: Power | None = None
    flasher: Flasher | None = None
    firmware: FirmwarePort | None = None
    source: Path | None = None
