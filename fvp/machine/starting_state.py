"""The state from which samples start: what a firmware does before it first looks at its inputs depends on none of them.

    start = StartingState(qemu, device, sinks, limits)
    start.take()                    # the CPU stands still, at the first access to the inputs
    start.restore()                 # for a further sample; gives the simulated seconds until there
    start.content()                 # for another process, whose StartingState adopts it

It is QEMU's own snapshot with DDR (`snapshot`), the NPU's registers, the output of the UARTs so far and the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hil.core.errors import FaultError
from hil.fvp.machine.qemu import Qemu
from hil.fvp.machine.uart import UartSink

if TYPE_CHECKING:
    from hil.fvp.machine.npu_window import Device
    from hil.fvp.machine.snapshot import SnapshotContent
    from hil.fvp.machine.time_limits import TimeLimits


class BoardState(NamedTuple):
    """The parts of a state beside QEMU's own: the NPU's, each UART's output so far, and simulated seconds."""

    npu: Mapping[str, Any]
    uarts: Mapping[int, bytes]
    simulated: float


class StateContent(NamedTuple):
    """A whole state: QEMU's part and the rest, and the version of the QEMU that can read it."""

    snapshot: SnapshotContent
    board: BoardState
    qemu: str


class StartingState:
    """The state of one machine; `board` is None until it is taken or adopted."""

    def __init__(self, qemu: Qemu, device: Device, sinks: Mapping[int, UartSink], limits: TimeLimits) -> None:
        self._qemu = qemu
        self._device = device
        self._sinks = sinks
        self._limits = limits
        self.board: BoardState | None = None

    @property
    def missing(self) -> bool:
        """True for a machine that can save its state, and has not."""
        return self._qemu.snapshot is not None and self.board is None

    def take(self) -> None:
        """Saves the state of the machine, whose CPU stands still; raises `FaultError` if QEMU cannot."""
        assert self._qemu.snapshot is not None
        self._drain()
        self._qemu.snapshot.take()
        self._drain()
        uarts = {number: sink.recorded() for number, sink in self._sinks.items()}
        self.board = BoardState(self._device.state(), uarts, self._limits.simulated)

    def restore(self) -> float:
        """Brings the state back for a further sample; returns the seconds that the CPU ran until there.

        Raises `FaultError` if QEMU cannot.
        """
        board = self._restored()
        self._drain()
        for number, sink in self._sinks.items():
            sink.start_again(board.uarts[number])
        return board.simulated

    def content(self) -> StateContent:
        """The state that was just taken."""
        snapshot, qmp = self._qemu.snapshot, self._qemu.qmp
        assert snapshot is not None
        assert qmp is not None
        assert self.board is not None
        return StateContent(snapshot.content(), self.board, qmp.version)

    def adopt(self, content: StateContent) -> float:
        """Brings a state into a machine that has not run; returns the seconds that the CPU ran until there.

        Raises `FaultError` if another build of QEMU saved it, or QEMU cannot read it; that QEMU is of no use then.
        """
        assert self._qemu.snapshot is not None
        assert self._qemu.qmp is not None
        self._qemu.snapshot.adopt(content.snapshot)
        if content.qemu != self._qemu.qmp.version:
            raise FaultError("another build of QEMU saved it")
        self.board = content.board
        board = self._restored()
        for number, sink in self._sinks.items():
            sink.begin(board.uarts[number])
        return board.simulated

    def _restored(self) -> BoardState:
        assert self._qemu.snapshot is not None
        assert self.board is not None
        self._qemu.snapshot.restore()
        self._device.restore(dict(self.board.npu))
        return self.board

    def _drain(self) -> None:
        for number, sink in self._sinks.items():
            sink.drain(self._qemu.uarts[number])
