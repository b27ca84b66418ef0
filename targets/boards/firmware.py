"""The monitor firmware of a described board: its port, CPU and baud rate are those of the description.

built = build_for(Board("desk", reports="numaker_m55m1"))
built.elf
"""

from __future__ import annotations

from hil.core.errors import BadInputError
from hil.targets.boards.description import Board
from hil.targets.firmware.build import FirmwareImage, boards, build
from hil.targets.firmware.compilers import DEFAULT_CPU


def build_for(
    board: Board, compiler: str | None = None, baud: int | None = None, cpu: str | None = None
) -> FirmwareImage:
    """The firmware for `board`; `baud` and `cpu` take the place of those of its description.

    Raises `BadInputError` for a board without a port of the monitor, and as `build`.
    """
    if board.protocol != "hil":
        hint = "hil firmware flash writes an ELF of your own"
        raise BadInputError(f"{board.name} has other firmware than the monitor: protocol {board.protocol}", hint=hint)
    port, described_cpu = _port(board)
    return build(port, compiler, baud=baud or board.baud, cpu=cpu or described_cpu)


def _port(board: Board) -> tuple[str, str]:
    """Port and CPU."""
    if board.firmware is not None:
        return board.firmware.port, board.firmware.cpu
    if board.reports in boards():
        return board.reports, DEFAULT_CPU
    lack = f"there is none called {board.reports!r}" if board.reports else "its description has no `reports`"
    hint = f'[firmware] port = "my_board.h" in {board.source}; docs/porting.md says how to write one'
    raise BadInputError(f"{board.name} has no port of the monitor firmware: {lack}", hint=hint)
