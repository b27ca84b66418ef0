"""One run of a model on a board, resumed where it stopped when the board had to be recovered.

from hil.targets.boards import Recovery

work = ResumableRun(plan, inputs, samples)
series = Recovery.of(access).attempt(work.do)
work.outputs, work.identity
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import InfrastructureError, MismatchError
from hil.npu.timing.memory_system import MemorySystem
from hil.targets.base import Progress
from hil.targets.boards.description import Board
from hil.targets.boards.identity import usable
from hil.targets.execution.graph import Graph, State
from hil.targets.link import Identity, JobResult, Link
from hil.targets.serial.monitor.board_npu import BoardNpu, Counts, check_npu
from hil.targets.serial.monitor.figures import EVENTS, MORE_EVENTS, Clocks, EventPass, Series, passes_of
from hil.targets.serial.monitor.memory_layout import lay_out, npu_steps


@dataclass(frozen=True)
class RunPlan:
    """Plan of a run: model, board and repetitions.

    `memory` is the memory system that the model was compiled for, `limit_ms` the time limit of one job, `events` are
    those of the PMU that are counted beside the usual ones.
    """

    graph: Graph
    memory: MemorySystem
    board: Board
    repetitions: int
    warmups: int
    limit_ms: int
    keep_state: bool
    events: tuple[int, ...] = ()


class ResumableRun:
    """A run that can be resumed; `inputs` are those of `Target.run`."""

    def __init__(self, plan: RunPlan, inputs: Sequence[Array], samples: int, progress: Progress | None = None) -> None:
        self._plan = plan
        self._inputs = inputs
        self._samples = samples
        self._progress = progress
        self._done: list[tuple[Array, ...]] = []
        self.identity: Identity | None = None

    @property
    def outputs(self) -> tuple[Array, ...]:
        """Outputs of all finished samples."""
        return tuple(np.concatenate(arrays) for arrays in zip(*self._done, strict=True))

    def do(self, link: Link) -> Series:
        """Runs the remaining samples, then the repetitions; nothing is written to a board with another NPU.

        The board is identified anew: it may have been reset, or be another one.
        """
        plan, self.identity = self._plan, link.identify()
        check_npu(plan.graph, self.identity, plan.board.name)
        layout = lay_out(plan.graph, plan.memory, usable(plan.board, self.identity))
        npu = BoardNpu(link, layout, npu_steps(plan.graph), plan.limit_ms)
        npu.upload()
        if plan.keep_state:  # A sequence cannot go on in its middle: part of its state is in the interpreter.
            self._done.clear()
        state = State()
        for sample in range(len(self._done), self._samples):
            state = state if plan.keep_state else State()
            arrays = [array[sample : sample + 1] for array in self._inputs]
            self._done.append(plan.graph.run(arrays, state, device=npu))
            if self._progress:
                self._progress(len(self._done), self._samples)
        for _ in range(plan.warmups):
            npu.measure(EVENTS)
        repetitions = [npu.measure(EVENTS) for _ in range(plan.repetitions)]
        more, groups = npu.measure(MORE_EVENTS), passes_of(plan.events)
        passes = [self._pass(npu, events, f"pass {n} of {len(groups)}") for n, events in enumerate(groups, 1)]
        return Series(repetitions, more, plan.warmups, passes)

    def _pass(self, npu: BoardNpu, events: tuple[int, ...], title: str) -> EventPass:
        """Runs the first sample once more and counts `events`, then repeats its jobs.

        Raises `MismatchError` for other outputs than before: what was counted is then not what ran before.
        """
        results: list[JobResult] = []
        device = npu.counting(events, results)
        outputs = self._plan.graph.run([array[:1] for array in self._inputs], State(), device=device)
        check_same_outputs(outputs, self._done[0], f"{self._plan.board.name}, {title} over the PMU's events")
        counts = [Counts.of(results, events)]
        return EventPass(events, counts + [npu.measure(events) for _ in range(self._plan.repetitions - 1)])


def check_same_outputs(got: Sequence[Array], first: Sequence[Array], what: str) -> None:
    """Raises `MismatchError`, about `what`, unless the outputs equal those of the first run bit by bit."""
    wrong = sum(int(np.count_nonzero(left != right)) for left, right in zip(got, first, strict=True))
    if wrong:
        elements = sum(array.size for array in first)
        raise MismatchError(f"{what}: {wrong} of {elements} output elements are not those of the first run")


def clocks(identity: Identity, plan: RunPlan, *, virtual: bool) -> Clocks:
    """Clocks of the board: a virtual NPU has that of its timing model, a real one that of description or firmware."""
    if not identity.timer_hz or not identity.npu_hz:
        raise InfrastructureError(f"the firmware of {plan.board.name} does not say how fast its clocks are")
    if virtual:
        return Clocks(plan.memory.clock_hz, identity.timer_hz, "of Vela's system configuration")
    if plan.board.npu_hz:
        return Clocks(plan.board.npu_hz, identity.timer_hz, "by the board's description")
    return Clocks(identity.npu_hz, identity.timer_hz, "as the firmware says")
