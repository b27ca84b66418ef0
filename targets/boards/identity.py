"""Check of a board's identity against its description; before that, nothing is written to the board.

from hil.targets.boards.connection import connect

link = connect(board, find)
check(board, link.identify())
"""

from __future__ import annotations

import dataclasses

from hil.core.errors import WrongBoardError
from hil.npu.accelerator import ConfigRegister
from hil.targets.boards.description import Board
from hil.targets.link import Identity, Region


def accelerator(identity: Identity) -> str:
    """The NPU in Vela's words, such as `ethos-u55-128`, from its registers; empty if there is none."""
    return ConfigRegister.from_word(identity.npu_config).name if identity.npu_config else ""


def check(board: Board, identity: Identity) -> None:
    """Raises `WrongBoardError` if name, NPU or memory are not the described ones."""
    if board.reports and identity.board != board.reports:
        raise _wrong(board, f"{identity.board!r} answered, {board.reports!r} is described", identity)
    npu = accelerator(identity)
    if npu != board.npu.accelerator:
        raise _wrong(board, f"{identity.board} has {npu or 'no NPU'}, {board.npu.accelerator} is described", identity)
    for memory in board.memory:
        if not any(_holds(region, memory.address, memory.size) for region in identity.regions):
            where = f"{memory.name} at {memory.address:#010x}, {memory.size} bytes,"
            raise _wrong(board, f"{where} is not within the memory that {identity.board} offers", identity)


def usable(board: Board, identity: Identity) -> tuple[Region, ...]:
    """The memory that the host may use: what the firmware announces, or of that what the description names."""
    if not board.memory:
        return identity.regions
    return tuple(
        dataclasses.replace(region, name=memory.name, address=memory.address, size=memory.size)
        for memory in board.memory
        for region in identity.regions
        if _holds(region, memory.address, memory.size)
    )


def _holds(region: Region, address: int, size: int) -> bool:
    return region.address <= address and address + size <= region.address + region.size


def _wrong(board: Board, why: str, identity: Identity) -> WrongBoardError:
    hint = f"firmware {identity.firmware}; nothing was written to it; see hil boards probe {board.name}"
    return WrongBoardError(f"{board.name}: {why}", hint=hint)
