"""Observer that writes each leaf of a walk into the results database when it is finished, and shows the walk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hil.harness.results.records import DeploymentRecord, FailureRecord, FigureRecord
from hil.harness.tree.observer import WalkObserver
from hil.harness.tree.result import Leaf, LeafStatus, TrainedNode

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Budget, Model
    from hil.harness.results.recording import Recording
    from hil.harness.tree.candidates import Candidate, SettledNode


class RecordedWalk(WalkObserver):
    """Forwards every event to the observer `shown`; finished leaves go to the recording as well."""

    def __init__(self, shown: WalkObserver, recording: Recording) -> None:
        self._shown = shown
        self._recording = recording
        self._model = self._target = ""

    def walk_started(self, model: Model, evaluator: Evaluator, limits: Budget) -> None:
        self._model, self._target = model.name, evaluator.target_name
        self._shown.walk_started(model, evaluator, limits)

    def leaves_chosen(self, candidates: Sequence[Candidate], model: Model) -> None:
        self._shown.leaves_chosen(candidates, model)

    def node_started(self, where: SettledNode) -> None:
        self._shown.node_started(where)

    def node_finished(self, node: TrainedNode) -> None:
        self._shown.node_finished(node)

    def leaf_started(self, candidate: Candidate) -> None:
        self._shown.leaf_started(candidate)

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        self._shown.progress(what, text, done, total)

    def leaf_finished(self, leaf: Leaf) -> None:
        if leaf.measurements:
            self._recording.deployment(*leaf_record(leaf, self._model, self._target))
        if leaf.status in (LeafStatus.FAILED, LeafStatus.MISMATCH):
            name = f"{self._model}-{leaf.name}"
            self._recording.failure(FailureRecord("", name, leaf.status.value, False, leaf.reason))
        self._shown.leaf_finished(leaf)


def leaf_record(leaf: Leaf, model: str, target: str) -> tuple[DeploymentRecord, list[FigureRecord]]:
    """Returns the deployment of a measured leaf, and its figures."""
    record = DeploymentRecord(f"{model}-{leaf.name}", model, leaf.name, target, dict(leaf.identity))
    return record, [FigureRecord.of(one) for one in leaf.measurements]
