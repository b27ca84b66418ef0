"""Who hears of a walk as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hil.harness.tree.candidates import Candidate, SettledNode
from hil.harness.tree.result import Leaf, Trained

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Budget, Model


class Watcher:
    """This one does not care.  Several nodes and leaves may be under way at a time."""

    def starts(self, model: Model, evaluator: Evaluator, limits: Budget) -> None:
        """The walk begins."""

    def wants(self, candidates: Sequence[Candidate], model: Model) -> None:
        """The leaves that come next, in the order in which they will be walked to."""

    def training(self, where: SettledNode) -> None:
        """A node is wanted; it may come from the store."""

    def trained(self, node: Trained) -> None:
        """A node is there."""

    def measuring(self, candidate: Candidate) -> None:
        """A leaf is converted, compiled and run."""

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        """What is under way says what it does, how far it is, and of how much (0: unknown)."""

    def walked(self, leaf: Leaf) -> None:
        """A leaf is done."""


class Telling(Watcher):
    """Hands the progress to a pipeline's `say`."""

    def __init__(self, say: Callable[[str, int, int], None]) -> None:
        self._say = say

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        self._say(text, done, total)
