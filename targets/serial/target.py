"""`serial`: the monitor firmware of a board at the other end of a serial line, or of a virtual one.

    with contextlib.closing(create("serial", board="virtual")) as target:
        run = target.run(Deployable(int8=int8, compiled=vela), [x])
        run.measurements            # npu_cycles, npu_cycles_p95, wall_ms ...

NPU operators run on the board, all others on the host's reference kernels; so the figures are the NPU's share of an
inference.  Weights and command streams go up once, then each sample's inputs up and its outputs down.  Time is taken
after the last sample, in jobs of their own.  A board that falls silent is reset and the sample done again
(`boards.recovery`); one that does not come back is out of order for as long as the target lives.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hil.core.arrays import Array
from hil.core.errors import BadInputError, InfrastructureError
from hil.core.measurement import Measurement, Trust
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.npu.accelerator import VIRTUAL_ID_WORD
from hil.npu.timing.memory_system import MemorySystem
from hil.targets import lab as farm
from hil.targets.base import Deployable, Progress, Run
from hil.targets.boards import BoardAccess, BoardLostError, Health, Recovery, find_board, names, reach, virtual
from hil.targets.boards.identity import accelerator
from hil.targets.execution.graph import Graph, read_graph
from hil.targets.execution.interpreter import interpreter_version
from hil.targets.execution.placement import check_accelerator, model_file
from hil.targets.execution.signature import check_inputs, read_signature, require_quantized
from hil.targets.link import Identity, Link
from hil.targets.serial.figures import figures
from hil.targets.serial.mlperf.board import MlperfTarget
from hil.targets.serial.resumable_run import ResumableRun, RunPlan, clocks

VARIABLE = "HIL_BOARD"
"""Names the board where nothing else does."""

_LAB = (farm.PLACE, farm.TAG)
"""Beginnings of names that a lab knows, and not this machine."""
_T = TypeVar("_T")


class SerialTarget:
    """`board` is `virtual`, a described board, a TOML file, `place:NAME` or `tag:KEY=VALUE` (see `boards.reach`).

    Without one, the environment's `HIL_BOARD` names it.  After `warmups` runs, `repetitions` are measured; `limit_ms`
    is the time limit of one job on the NPU.  `keep_state` makes the samples one sequence.  `folder` has the user's own
    descriptions.  The target holds the board, or plays it, from its first use until `close`.  Where `tag:` leaves a
    choice, a board that is lost is given back, and what was to run on it runs on another one.
    """

    name = "serial"

    def __init__(
        self,
        *,
        board: str | None = None,
        repetitions: int = 10,
        warmups: int = 2,
        limit_ms: int = 10_000,
        keep_state: bool = False,
        folder: Path | None = None,
    ) -> None:
        self._board = check_board(board or os.environ.get(VARIABLE), folder)
        if repetitions < 1 or warmups < 0:
            raise BadInputError(f"{repetitions} repetitions after {warmups} warm-ups", hint="at least 1 after 0")
        self._repetitions, self._warmups = repetitions, warmups
        self._limit_ms = limit_ms
        self._keep_state = keep_state
        self._folder = folder
        self._health = Health()
        self._held: _Held | None = None
        self._lost: list[str] = []
        self._last: BoardLostError | None = None

    def close(self) -> None:
        """Gives the board back, or ends the virtual one; the target may be used again."""
        held, self._held = self._held, None
        if held is not None:
            held.closing.close()

    def identity(self) -> dict[str, str]:
        """Board, port, firmware, NPU and its clock; raises what keeps the board from being used."""
        return self._on_a_board(self._ask)

    def _ask(self) -> dict[str, str]:
        held = self._hold(self._held.npu if self._held else DEFAULT_NPU)
        if held.mlperf is not None:
            return held.mlperf.identity()
        return _identity(held, held.recovery.attempt(Link.identify))

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`.

        Also raises `JobError` for a job that the NPU did not finish, `BoardLostError` for a board that does not come
        back.  A board with another NPU is refused before anything is written to it.
        """
        run = self._on_a_board(lambda: self._run(model, inputs, progress))
        return replace(run, identity=run.identity | {"lost_boards": ", ".join(self._lost)}) if self._lost else run

    def _run(self, model: Deployable, inputs: Sequence[Array], progress: Progress | None) -> Run:
        if self._board != virtual.NAME and (mlperf := self._hold(DEFAULT_NPU).mlperf) is not None:
            return mlperf.run(model, inputs, progress=progress)
        data = model_file(model)
        signature = read_signature(data)
        require_quantized(signature)
        samples = check_inputs(signature, inputs)
        if not signature.compiled:
            raise BadInputError("nothing of the model is on the NPU, so a board has nothing to run", hint="use sim")
        check_accelerator(data, model.npu.accelerator)
        held = self._hold(model.npu)
        plan = RunPlan(
            _graph(data),
            MemorySystem.of(model.npu),
            held.access.board,
            self._repetitions,
            self._warmups,
            self._limit_ms,
            self._keep_state,
        )
        work = ResumableRun(plan, inputs, samples, progress)
        series = held.recovery.attempt(work.do)
        assert work.identity is not None, "the work was done"
        is_virtual, cpu_operators = _is_virtual(held.access, work.identity), len(signature.cpu_operators)
        identity = _identity(held, work.identity) | {"memory_mode": model.npu.memory_mode}
        if cpu_operators:
            identity["cpu_engine"] = f"tensorflow {interpreter_version('tensorflow')}, reference kernels, on the host"
        if self._keep_state:
            identity["state"] = "kept"
        counted = figures(series, clocks(work.identity, plan, virtual=is_virtual), virtual=is_virtual)
        return Run(work.outputs, (*counted, *_exact(cpu_operators, held.recovery.recoveries)), identity)

    def _on_a_board(self, work: Callable[[], _T]) -> _T:
        """`work`, once more on each board that takes the place of a lost one."""
        while True:
            try:
                return work()
            except BoardLostError as error:
                self._replace(error)

    def _replace(self, error: BoardLostError) -> None:
        """Another board with the same tags; raises `error` where there is none, then and for ever."""
        if self._last is not None or self._held is None or not self._board.startswith(farm.TAG):
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
        """The board; a virtual one is made anew where it is to be made of something else."""
        if self._last is not None:
            raise self._last
        if self._held and self._held.access.is_virtual and self._held.npu != npu:
            self.close()
        if self._held is None:
            with contextlib.ExitStack() as stack:
                reached = virtual.reach(npu=npu) if self._board == virtual.NAME else self._reach()
                access = stack.enter_context(reached)
                mlperf = _mlperf(access, self._health, self._repetitions)
                if mlperf is not None:
                    stack.callback(mlperf.close)
                recovery = stack.enter_context(Recovery.of(access, health=self._health))
                self._held = _Held(npu, access, recovery, stack.pop_all(), mlperf)
        return self._held

    def _reach(self) -> contextlib.AbstractContextManager[BoardAccess]:
        if self._board.startswith(_LAB):
            return farm.reach(self._board, without=self._lost, folder=self._folder)
        return reach(self._board, self._folder)


@dataclass(frozen=True)
class _Held:
    """A board in use; `npu` is what a virtual one is made of, `mlperf` is there for a board of that protocol."""

    npu: NpuConfig
    access: BoardAccess
    recovery: Recovery[Link]
    closing: contextlib.ExitStack
    mlperf: MlperfTarget | None


def check_board(board: str | None, folder: Path | None = None) -> str:
    """`board` if there is one of that name, as far as this machine knows; starts nothing and opens no port.

    Raises `BadInputError` that names those there are.
    """
    if not board:
        known = ", ".join([virtual.NAME, *sorted(names(folder))])
        hint = f"--board NAME, or {VARIABLE}; known are {known}, or a TOML file"
        raise BadInputError("target serial: no board is named", hint=hint)
    if board.startswith(_LAB):
        farm.check(board)
    elif board != virtual.NAME:
        find_board(board, folder)
    return board


def _mlperf(access: BoardAccess, health: Health, windows: int) -> MlperfTarget | None:
    """What runs a model on a board that carries the firmware of MLPerf Tiny instead of ours."""
    return MlperfTarget(access, windows=windows, health=health) if access.board.protocol == "mlperf" else None


def _is_virtual(access: BoardAccess, identity: Identity) -> bool:
    """Whether it is no hardware, by whatever name and port it was reached."""
    return access.is_virtual or identity.npu_id == VIRTUAL_ID_WORD


def _identity(held: _Held, identity: Identity) -> dict[str, str]:
    """What a record says of the board; a virtual one's port is another one each time."""
    access, npu, is_virtual = held.access, held.npu, _is_virtual(held.access, identity)
    clock = f"{(access.board.npu_hz or identity.npu_hz) / 1e6:g} MHz"
    if is_virtual:
        memory = MemorySystem.of(npu)
        clock = f"{memory.clock_hz / 1e6:g} MHz, modelled"
    return {
        "board": access.board.name,
        "port": access.find(),
        "firmware": identity.firmware,
        "hardware": f"{identity.board}, virtual" if is_virtual else identity.board,
        "npu": accelerator(identity) or "none",
        "npu_clock": clock,
        "cpu_clock": f"{identity.cpu_hz / 1e6:g} MHz",
    }


def _exact(cpu_operators: int, recoveries: int) -> tuple[Measurement, ...]:
    note = "run on the host's reference kernels, not in the figures"
    return (
        Measurement("cpu_operators", cpu_operators, "operators", Trust.EXACT, note),
        Measurement("recoveries", recoveries, "recoveries", Trust.EXACT, "of the board, since it is in use"),
    )


@functools.lru_cache(maxsize=4)
def _graph(data: bytes) -> Graph:
    return read_graph(data)
