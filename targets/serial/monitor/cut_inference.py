"""One inference of a model on a board, whole and piece by piece; the cycles of both.

from hil.targets.boards import Recovery

work = CutInference(plan, inputs, pieces)
cut = Recovery.of(access).attempt(work.do)
cut.pieces, cut.whole
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.core.arrays import Array
from hil.targets.boards.identity import usable
from hil.targets.execution.graph import State
from hil.targets.link import Identity, Link
from hil.targets.serial.monitor.board_npu import BoardNpu, check_npu
from hil.targets.serial.monitor.memory_layout import lay_out, npu_steps
from hil.targets.serial.monitor.resumable_run import RunPlan, check_same_outputs


@dataclass(frozen=True)
class CutCycles:
    """Outputs, and cycles by repetition: by stream and piece, of the streams uncut, of a job without an operation."""

    outputs: tuple[Array, ...]
    pieces: tuple[tuple[tuple[int, ...], ...], ...]
    whole: tuple[int, ...]
    start: tuple[int, ...]


class CutInference:
    """An inference of one sample, `inputs`, whose streams are cut into `pieces`."""

    def __init__(self, plan: RunPlan, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> None:
        self._plan = plan
        self._inputs = inputs
        self._pieces = pieces
        self.identity: Identity | None = None

    def do(self, link: Link) -> CutCycles:
        """Runs the sample both ways, then the repetitions; nothing is written to a board with another NPU."""
        plan, self.identity = self._plan, link.identify()
        check_npu(plan.graph, self.identity, plan.board.name)
        layout = lay_out(plan.graph, plan.memory, usable(plan.board, self.identity), self._pieces)
        npu = BoardNpu(link, layout, npu_steps(plan.graph), plan.limit_ms)
        npu.upload()
        outputs = plan.graph.run(self._inputs, State(), device=npu)
        npu.scrub()  # What a piece left out would else be there.
        cut = plan.graph.run(self._inputs, State(), device=npu.cut)
        check_same_outputs(cut, outputs, f"{plan.board.name}, piece by piece")
        for _ in range(plan.warmups):
            npu.measure(())
            npu.measure_pieces()
        whole, pieces, start = [], [], []
        for _ in range(plan.repetitions):
            whole.append(npu.measure(()).cycles)
            pieces.append(npu.measure_pieces())
            start.append(npu.measure_start())
        by_piece = tuple(tuple(zip(*stream, strict=True)) for stream in zip(*pieces, strict=True))
        return CutCycles(outputs, by_piece, tuple(whole), tuple(start))
