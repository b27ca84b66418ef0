"""Writes a firmware onto a board: the right one, with proof before and after.

    from hil.targets.boards import find_board, local_access

    flashed = flash(local_access(find_board("desk")), Path("monitor.elf"))
    flashed.before, flashed.after.firmware

What answers on the port is compared with the description first: a wrong board is never flashed.  Then pyOCD or the
board's own command writes.  Afterwards the board must have restarted, be the described one, and name a firmware version
that stands in the file; the CRC-32 of the code that it runs must be that of the file, if it reports one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import BadInputError, FlashError, PortError, UnavailableError
from hil.targets.boards import identity
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.connection import PATIENCE_S, HeldPort
from hil.targets.boards.description import Board, Flasher
from hil.targets.boards.external_program import ProgramError, run
from hil.targets.boards.port_lock import Say
from hil.targets.boards.ports import usb_serial
from hil.targets.boards.serial_line import open_line
from hil.targets.firmware.load_image import LoadImage
from hil.targets.link import (
    Channel,
    GarbageError,
    Identity,
    Link,
    RebootedError,
    RefusedError,
    SilentError,
)

_POLL_S = 0.1
_LARGEST_ELF = 256 << 20


@dataclass(frozen=True)
class Flashed:
    """The board's identity before (None: unknown) and after, and the flasher's time in seconds."""

    before: Identity | None
    after: Identity
    seconds: float


def flash(
    access: BoardAccess,
    elf: Path,
    *,
    unidentified: bool = False,
    patience_s: float = PATIENCE_S,
    say: Say | None = None,
) -> Flashed:
    """Flashes the firmware `elf`; `say` gets the flasher's lines.

    With `unidentified` a board that says nothing, or nothing intelligible, is flashed too: a blank one.  One that says
    that it is another board never is.  Raises `BadInputError`, `WrongBoardError`, `FlashError`, `LinkError`.
    """
    board, data = access.board, _read(elf)
    if board.protocol != "hil":
        raise BadInputError(f"{board.name} speaks {board.protocol}, the firmware hil", hint="describe it with hil")
    held = HeldPort(access, patience_s, say)
    try:
        command = command_of(board, elf, held.find())
        channel, link, before = _ask(board, held.find, unidentified)
        began = time.monotonic()
        try:
            channel.close()
            _write(board, command, {"port": held.find(), **_values(elf, usb_serial(held.find()))}, say)
            seconds = time.monotonic() - began
            _wait(held.find, board.reset.boot_s)
            channel.reopen()
            after = _verify(board, link, before, data)
        finally:
            link.close()
    finally:
        held.release()
    return Flashed(before, after, seconds)


def command_of(board: Board, elf: Path, port: str) -> tuple[str, ...]:
    """The flasher's argument list; pyOCD's is complete, a board's own keeps its placeholders.

    Raises `BadInputError` for a board without a flasher, or elsewhere and without a named probe, `UnavailableError`
    without pyOCD.
    """
    flasher = board.flasher
    if flasher and flasher.pyocd and not flasher.probe and "://" in port:  # pyOCD would take one of this machine
        raise BadInputError(f"{board.name} is behind {port}: which probe is its own?", hint="name it: probe")
    if flasher is None:
        raise BadInputError(f"{board.name} has no flasher", hint="add a table [flash] to its description")
    if flasher.command:
        return flasher.command
    if importlib.util.find_spec("pyocd") is None:
        raise UnavailableError("pyOCD is not installed", hint="pip install 'ethosu-hil[flash]'")
    return (sys.executable, "-m", "pyocd", *pyocd_words(flasher, elf, usb_serial(port), board.source))


def pyocd_words(flasher: Flasher, elf: Path, serial: str, source: Path | None) -> tuple[str, ...]:
    """pyOCD's arguments: it never waits for a probe, and chooses none by itself where the description names it."""
    words = ["load", "--no-wait", "--target", flasher.pyocd, "--format", "elf"]
    if flasher.probe:
        probe = flasher.probe.replace("{serial}", serial)
        if not probe:  # pyOCD would take any.
            raise BadInputError("the port does not tell the serial number of its debug probe", hint="name it: probe")
        words += ["--uid", probe]
    if flasher.pack:
        words += ["--pack", str((source.parent if source else Path()) / flasher.pack)]
    return (*words, str(elf.resolve()))


def _ask(board: Board, find: Callable[[], str], unidentified: bool) -> tuple[Channel, Link, Identity | None]:
    """The port, and what the board on it says of itself."""
    channel = open_line(board, find)
    link = Link(channel, silence_s=board.reset.boot_s, reopen_s=board.reset.boot_s)
    try:
        found = link.identify()
        identity.check(board, found)
        return channel, link, found
    except (SilentError, GarbageError) as error:
        if unidentified:
            return channel, link, None
        link.close()
        raise FlashError(
            f"{board.name} was not flashed: it does not say what it is: {error.args[0]}",
            hint="--unidentified flashes a board without this firmware",
            log=error.log,
        ) from error
    except BaseException:
        link.close()
        raise


def _write(board: Board, command: tuple[str, ...], values: dict[str, str], say: Say | None) -> None:
    assert board.flasher is not None
    try:
        run(command, values, board.flasher.limit_s, say)
    except ProgramError as error:
        raise FlashError(f"{board.name} was not flashed: {error}", log=error.log) from error


def _verify(board: Board, link: Link, before: Identity | None, elf: bytes) -> Identity:
    """The restarted board runs what was flashed."""
    if before is not None:
        with contextlib.suppress(RebootedError):
            with contextlib.suppress(RefusedError):  # That there is no such memory only its old session can say.
                link.read(before.regions[0].address if before.regions else 0, 1)
            raise FlashError(
                f"{board.name} goes on with what it ran: it was not restarted", hint="the flasher must reset the board"
            )
    after = link.identify()
    identity.check(board, after)
    if after.firmware.encode() not in elf:
        raise FlashError(f"{board.name} runs {after.firmware!r}, which is not what was flashed")
    check_image(board, after, elf)
    return after


def check_image(board: Board, after: Identity, elf: bytes) -> None:
    """Raises `FlashError` if the board's CRC-32 of what it runs is not that of the file.

    A firmware that reports none, or one of a range that the file does not have, is not checked.
    """
    if (image := after.image) is None:
        return
    of_file = LoadImage.of(elf).crc(image.address, image.size)
    if of_file is not None and of_file != image.crc:
        raise FlashError(
            f"{board.name} runs code with CRC-32 {image.crc:08x}, flashed was {of_file:08x}",
            hint="the flasher wrote a part of it, or elsewhere",
        )


def _wait(find: Callable[[], str], limit_s: float) -> None:
    """A board's own USB port goes away while it is flashed."""
    end = time.monotonic() + limit_s
    while True:
        try:
            find()
            return
        except PortError:
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL_S)


def _values(elf: Path, serial: str) -> dict[str, str]:
    return {"elf": str(elf.resolve()), "serial": serial}


def _read(elf: Path) -> bytes:
    try:
        with elf.open("rb") as stream:
            data = stream.read(_LARGEST_ELF)
    except OSError as error:
        raise BadInputError(f"{elf} cannot be read: {error.strerror}") from error
    if not data.startswith(b"\x7fELF"):
        raise BadInputError(f"{elf} is no ELF file", hint="hil firmware build makes one")
    return data
