"""Health check of a board: identity, memory through the link, and a known model with known outputs.

    from hil.targets.board_address import reach

    with reach("desk") as access:
        found = check_board(access, compiled_for, inputs, outputs, Health())
        found.identity["serial_number"], found.cycles

A board that is silent at first may be reset; from its identification on, it must need no recovery.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import CheckError
from hil.core.measurement import Measurement
from hil.core.npu_config import NpuConfig
from hil.targets.base import Deployable, Run
from hil.targets.board_event import EventKind
from hil.targets.boards import BoardAccess, Health, Recovery
from hil.targets.boards.identity import usable
from hil.targets.link import Link
from hil.targets.serial import SerialOptions
from hil.targets.serial.target import DRIVERS

BLOCK = 1024
"""Bytes that are written and read at either end of each region: all of them take some seconds at 115,200 baud."""


@dataclass(frozen=True)
class BoardCheck:
    """A passed check: the board's identity, the bytes of memory and elements of outputs that were compared.

    `run` is that of the known model.  A board of another protocol than `hil` was identified alone: 0, 0 and None.
    """

    board: str
    identity: Mapping[str, str]
    memory: int = 0
    elements: int = 0
    run: Run | None = None

    @property
    def cycles(self) -> Measurement | None:
        """The NPU's cycles of one inference."""
        figures = self.run.measurements if self.run else ()
        return next((one for one in figures if one.name == "npu_cycles"), None)


def check_board(
    access: BoardAccess,
    compiled_for: Callable[[NpuConfig], Deployable],
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    health: Health,
) -> BoardCheck:
    """Checks the board behind `access`; `compiled_for` gives the known model, entirely on the NPU of the board.

    `health` gets the events.  Raises `CheckError` for other memory or outputs than those expected, and whatever keeps a
    board from running a model.
    """
    board = access.board
    driver = DRIVERS[board.protocol].of(access, board.npu, SerialOptions(), health)
    with contextlib.closing(driver):
        identity = driver.identity()
        if board.protocol != "hil":
            return BoardCheck(board.name, identity)
        known = len(health.events)
        driver.close()  # The port is held by one at a time.
        with Recovery.of(access, health=health) as recovery:
            memory, lost = recovery.attempt(lambda link: _check_memory(access, link))
        if lost:
            raise _failed(health, board.name, f"{', '.join(lost)}: memory does not keep what is written")
        run = driver.run(compiled_for(board.npu), inputs)
    mended = [event.detail for event in health.events[known:] if event.kind is EventKind.RECOVERED]
    wrong = sum(int(np.count_nonzero(got != known)) for got, known in zip(run.outputs, outputs, strict=True))
    elements = sum(output.size for output in outputs)
    if mended:
        raise _failed(health, board.name, f"it had to be recovered: {mended[0]}")
    if wrong:
        raise _failed(health, board.name, f"{wrong} of {elements} output elements of the known model are wrong")
    return BoardCheck(board.name, run.identity, memory, elements, run)


def _failed(health: Health, board: str, why: str) -> CheckError:
    error = CheckError(f"{board} failed its health check: {why}", hint="supply, cable, memory, NPU")
    health.failed(board, error)
    return error


def _check_memory(access: BoardAccess, link: Link) -> tuple[int, list[str]]:
    """Writes random bytes and then their complement to both ends of each region; all before any is read.

    Returns the bytes that were compared, and the places where others were read.
    """
    places = {
        at: region
        for region in usable(access.board, link.identify())
        if region.writable
        for at in (region.address, region.address + max(region.size - BLOCK, 0))
    }
    pattern = {at: os.urandom(min(BLOCK, region.size)) for at, region in places.items()}
    compared, lost = 0, []
    for mask in (0x00, 0xFF):
        written = {at: bytes(byte ^ mask for byte in data) for at, data in pattern.items()}
        for at, data in written.items():
            link.write(at, data)
        for at, data in written.items():
            if link.read(at, len(data)) != data:
                lost.append(f"{places[at].name} at {at:#010x}")
            compared += len(data)
    return compared, lost
