"""Observers of a walk: callbacks for its nodes and leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hil.harness.say import Say
from hil.harness.tree.candidates import Candidate, SettledNode
from hil.harness.tree.result import Leaf, TrainedNode

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Budget, Model


class WalkObserver:
    """Observer that ignores all events.  Several nodes and leaves may be in progress at a time."""

    def walk_started(self, model: Model, evaluator: Evaluator, limits: Budget) -> None:
        """Called when the walk begins."""

    def leaves_chosen(self, candidates: Sequence[Candidate], model: Model) -> None:
        """Called with the next leaves, in the order in which they will be measured."""

    def node_started(self, where: SettledNode) -> None:
        """Called when a node is needed; it may be in the store."""

    def node_finished(self, node: TrainedNode) -> None:
        """Called when a node was trained or found in the store."""

    def leaf_started(self, candidate: Candidate) -> None:
        """Called when a leaf is about to be converted, compiled and run."""

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        """Called with the progress of a node or leaf: a text, steps done, steps in total (0: unknown)."""

    def leaf_finished(self, leaf: Leaf) -> None:
        """Called when a leaf was measured or has failed."""


class ProgressObserver(WalkObserver):
    """Observer that forwards progress to a pipeline's `say`."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        self._say(text, done, total)
