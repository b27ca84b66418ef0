"""Finds a board's serial port: by its path or URL, or by what it is on the USB bus.

    find_port(board)                      # "/dev/ttyUSB2"
    matching(board, candidates())         # all that fit, for a table

A USB board comes back under another name when it is plugged again, or when others are; so it is known by vendor,
product and serial number, and looked for anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from serial.tools import list_ports

from hil.core.errors import BadInputError, PortError
from hil.targets.boards.description import Board, Usb


@dataclass(frozen=True)
class PortCandidate:
    """A serial port of this machine, as the system describes it; None or empty where it does not."""

    path: str
    vid: int | None = None
    pid: int | None = None
    serial: str = ""
    description: str = ""
    interface: str = ""

    def __str__(self) -> str:
        if self.vid is None or self.pid is None:
            return self.path
        words = [f"{self.vid:04x}:{self.pid:04x}", self.serial, self.description, self.interface]
        return f"{self.path} ({', '.join(filter(None, words))})"


def candidates() -> list[PortCandidate]:
    """All serial ports of this machine."""
    found = (
        PortCandidate(
            port.device,
            port.vid,
            port.pid,
            port.serial_number or "",
            port.description if port.description not in (None, "n/a") else "",
            port.interface or "",
        )
        for port in list_ports.comports()
    )
    return sorted(found, key=lambda candidate: candidate.path)


def matching(board: Board, among: Iterable[PortCandidate]) -> list[PortCandidate]:
    """The ports that fit the board's description; a path or URL fits by itself."""
    if board.usb is not None:
        return [candidate for candidate in among if _fits(board.usb, candidate)]
    if not board.port:
        return []
    if "://" in board.port:
        return [PortCandidate(board.port)]
    real = _real(board.port)
    return [candidate for candidate in among if _real(candidate.path) == real] or [
        PortCandidate(board.port)
        for _ in range(os.path.exists(board.port) or board.port.upper().startswith("COM"))  # noqa: PTH110
    ]


def find_candidate(board: Board, among: Sequence[PortCandidate] | None = None) -> PortCandidate:
    """The one port that fits, of those of this machine.

    Raises `BadInputError` for a board that names no port, `PortError` if none fits, or more than one does.
    """
    if board.usb is None and not board.port:
        raise BadInputError(
            f"the description of {board.name} names no port",
            hint=f"{board.name}@PORT, or a file with based_on = {board.name!r} and a table [port]; "
            f"ports here: {_listed(candidates())}",
        )
    here = candidates() if among is None else among
    found = matching(board, here)
    if not found:
        what = f"port {board.port} is not there" if board.port else f"no port is {board.usb}"
        raise PortError(f"{board.name}: {what}", hint=f"ports here: {_listed(here)}")
    if len(found) > 1:
        raise PortError(
            f"{board.name}: {len(found)} ports are {board.usb}: {_listed(found)}",
            hint="add the serial number, description or interface of one to [port]",
        )
    return found[0]


def find_port(board: Board) -> str:
    """The path or URL of the one port that fits; raises as `find_candidate`."""
    return find_candidate(board).path


def usb_serial(port: str) -> str:
    """Serial number of the USB device that the port `port` is; empty where there is none."""
    return next((candidate.serial for candidate in candidates() if candidate.path == port), "")


def _fits(usb: Usb, candidate: PortCandidate) -> bool:
    return (
        (candidate.vid, candidate.pid) == (usb.vid, usb.pid)
        and (usb.serial is None or usb.serial == candidate.serial)
        and _like(candidate.description, usb.description)
        and _like(candidate.interface, usb.interface)
    )


def _like(text: str, pattern: str | None) -> bool:
    return pattern is None or fnmatch(text.casefold(), pattern.casefold())


def _real(path: str) -> str:
    return str(Path(path).resolve())


def _listed(found: Iterable[PortCandidate]) -> str:
    return "; ".join(map(str, found)) or "none"
