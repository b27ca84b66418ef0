"""The virtual board within reach: the monitor firmware on QEMU with the executable NPU behind it.

with reach(NpuConfig("ethos-u55-256")) as access:
    access.find()               # its serial port: a pty
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hil.core.errors import FvpError, PortError, ResetError
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.fvp.virtual_board.process import VirtualBoard
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.description import Board, Reset
from hil.targets.firmware.build import build

_BAUD = 921_600
"""Baud rate of the pty: it slows nothing down, but sets the link's time limits and the size of its chunks."""


def start(
    npu: NpuConfig = DEFAULT_NPU, tcp: int | None = None, firmware: Path | None = None, serial_number: str = ""
) -> VirtualBoard:
    """The board, on a pty or on the TCP port `tcp` (0: any free one), with the monitor if no other ELF is given.

    Raises as `build` and `VirtualBoard`, which has `serial_number`, too.
    """
    return VirtualBoard(firmware or build().elf, npu, tcp=tcp, serial_number=serial_number)


_PATIENCE_S = 60.0
"""Seconds without a frame: on a loaded machine an answer takes long.  The end of the board's process shows at once."""


@contextlib.contextmanager
def reach(npu: NpuConfig = DEFAULT_NPU) -> Iterator[BoardAccess]:
    """A virtual board for as long as it is wanted; raises as `start`."""
    with start(npu) as virtual:
        board = Board(
            "virtual",
            title="Corstone-300 on QEMU, NPU modelled",
            port=virtual.url,
            baud=_BAUD,
            npu=npu,
            reset=Reset(("power",), boot_s=_PATIENCE_S),
        )
        yield BoardAccess(board, _finding(virtual), {"power": lambda: _power_cycle(virtual)}, is_virtual=True)


def _finding(virtual: VirtualBoard) -> Callable[[], str]:
    def find() -> str:
        if not virtual.is_alive:
            raise PortError("the virtual board has ended")
        return virtual.url

    return find


def _power_cycle(virtual: VirtualBoard) -> None:
    try:
        virtual.power_cycle()
    except FvpError as error:
        raise ResetError(f"the virtual board cannot be switched: {error.args[0]}", log=error.log) from error
