"""`serial`: a model on a board at the other end of a serial line, or on a virtual one.

    import contextlib

    from hil.targets import create

    with contextlib.closing(create("serial", board="virtual")) as target:
        run = target.run(Deployable(int8=int8, compiled=vela), [x])
        run.measurements            # npu_cycles, npu_cycles_p95, wall_ms ...

The board's address is resolved by `hil.targets.board_address`; a driver for the protocol that it speaks runs the model
(`hil.targets.serial.driver`).  A board that cannot be recovered is out of order for the lifetime of the target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hil.core.arrays import Array
from hil.core.errors import BadInputError, BoardLostError, InfrastructureError, ResetError
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.targets import board_address
from hil.targets.base import CutRun, Deployable, Progress, Run
from hil.targets.board_event import BoardEvent
from hil.targets.boards import BoardAccess, Health
from hil.targets.counters import requested
from hil.targets.serial import SerialOptions
from hil.targets.serial.driver import Driver
from hil.targets.serial.mlperf.driver import MlperfDriver
from hil.targets.serial.monitor.driver import MonitorDriver

VARIABLE = "HIL_BOARD"
"""Environment variable that names the board where no option does."""

DRIVERS: Mapping[str, type[Driver]] = {"hil": MonitorDriver, "mlperf": MlperfDriver}
"""The driver of each protocol that a board's description may name."""

_T = TypeVar("_T")


class SerialTarget:
    """A board that runs models, with any protocol in `DRIVERS`.

    The target holds the board, or simulates it, from its first use until `close`.  Where the address leaves a choice, a
    lost board is released, and its run is repeated on another one.
    """

    name = "serial"

    def __init__(self, options: SerialOptions | None = None) -> None:
        self._options = options or SerialOptions()
        self._address = _address(self._options)
        repetitions, warmups = self._options.repetitions, self._options.warmups
        if repetitions < 1 or warmups < 0:
            raise BadInputError(f"{repetitions} repetitions after {warmups} warm-ups", hint="at least 1 after 0")
        requested(self._options.events)  # An unknown name is told before a board is reached.
        self._health = Health(lambda board: board_address.of_board(self._address, board))
        self._held: _Held | None = None
        self._lost: list[str] = []
        self._last: BoardLostError | None = None

    def close(self) -> None:
        """Releases the board, or ends the virtual one; the target may be used again."""
        held, self._held = self._held, None
        if held is not None:
            self._health.begin_session()
            held.closing.close()

    def restart(self) -> None:
        """Ends this session with the board: a power cycle where it can be done from here, else its first way of reset.

        Where no way works, the next session begins with a new connection alone.
        """
        if (held := self._held) is not None:
            held.driver.close()
            ways = held.access.ways
            way = ways.get("power") or next(iter(ways.values()), None)
            if way is not None:
                with contextlib.suppress(ResetError):
                    way()
        self.close()

    def quarantine(self, boards: Mapping[str, str]) -> None:
        """See `UsesBoards.quarantine`; where the address leaves a choice, another board is taken."""
        self._health.quarantine(boards)

    def take_events(self) -> tuple[BoardEvent, ...]:
        """See `UsesBoards.take_events`."""
        return self._health.take_events()

    def identity(self) -> dict[str, str]:
        """Board, port, firmware, NPU and its clock; raises the error that keeps the board from being used."""
        return self._on_a_board(lambda: self._hold(self._held.npu if self._held else DEFAULT_NPU).driver.identity())

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`, and `run` of the board's driver."""
        protocol = board_address.protocol(self._address, self._options.folder)
        if protocol:
            DRIVERS[protocol].check(model, inputs)  # before a board is reached
        npu = model.npu.plain
        run = self._on_a_board(lambda: self._hold(npu).driver.run(model, inputs, progress=progress))
        return replace(run, identity=run.identity | {"lost_boards": ", ".join(self._lost)}) if self._lost else run

    def run_cut(self, model: Deployable, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> CutRun:
        """See `CutsStreams`."""
        npu = model.npu.plain
        return self._on_a_board(lambda: self._hold(npu).driver.run_cut(model, inputs, pieces))

    def _on_a_board(self, work: Callable[[], _T]) -> _T:
        """Calls `work` with a board, and again with each replacement of a lost one."""
        while True:
            try:
                return work()
            except BoardLostError as error:
                self._replace(error)

    def _replace(self, error: BoardLostError) -> None:
        """Takes another board that the address allows; raises `error` where there is none, and on every later use."""
        if self._last is not None or self._held is None or not board_address.has_choice(self._address):
            raise error
        self._lost.append(self._held.access.board.name)
        self.close()
        try:
            self._hold(DEFAULT_NPU)
        except (BadInputError, InfrastructureError) as none:
            self._last = error
            error.hint = f"and no other board: {none.args[0]}"
            raise error from None

    def _hold(self, npu: NpuConfig) -> _Held:
        """The board, connected on first use; a virtual one is restarted for another NPU."""
        if self._last is not None:
            raise self._last
        if self._held and self._held.access.is_virtual and self._held.npu != npu:
            self.close()
        if self._held is None:
            options = self._options
            with contextlib.ExitStack() as stack:
                access = self._reach(npu, stack)
                driver = DRIVERS[access.board.protocol].of(access, npu, options, self._health)
                stack.callback(driver.close)
                self._held = _Held(npu, access, driver, stack.pop_all())
        return self._held

    def _reach(self, npu: NpuConfig, stack: contextlib.ExitStack) -> BoardAccess:
        """A board that is not in quarantine if there is a choice; else the driver raises `QuarantinedError`."""
        address, folder = self._address, self._options.folder
        unfit = [*self._health.quarantined] if board_address.has_choice(address) else []
        try:
            return stack.enter_context(board_address.reach(address, folder, without=[*self._lost, *unfit], npu=npu))
        except BadInputError:
            if self._lost or not unfit:
                raise
            return stack.enter_context(board_address.reach(address, folder, npu=npu))


@dataclass(frozen=True)
class _Held:
    """A board in use; `npu` is that of a virtual one."""

    npu: NpuConfig
    access: BoardAccess
    driver: Driver
    closing: contextlib.ExitStack


def _address(options: SerialOptions) -> str:
    """The board's address; raises `BadInputError` that names the known boards if none is given."""
    named = options.board or os.environ.get(VARIABLE)
    if not named:
        known = ", ".join(board_address.known(options.folder))
        hint = f"--board NAME, or {VARIABLE}; known are {known}, or a TOML file"
        raise BadInputError("target serial: no board is named", hint=hint)
    return board_address.check(named, options.folder)
