"""Production of measured leaves from candidates: every node is made once, leaves come in the order of the candidates.

    producer = LeafProducer(model, evaluator, limits, observer, executor)
    leaves = producer.leaves([Candidate("ptq"), Candidate("pqat")], ends=lambda leaf: leaf.status is LeafStatus.MET)

Tasks that are ready go to the executor in the order of the candidates.  This process measures a leaf, from the store,
after all leaves before it.  So the result depends neither on the executor nor on the order in which tasks end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from hil.core.errors import HilError, InfrastructureError, WorkerDiedError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Budget, Model
from hil.harness.optimize.paths import path_of
from hil.harness.optimize.training_history import read_history
from hil.harness.pipeline.builders import HISTORY
from hil.harness.pipeline.step_process import crash_error
from hil.harness.store.store import Artifact, ArtifactRecipe
from hil.harness.tree.candidates import Candidate, SettledNode, settled_node, with_settings
from hil.harness.tree.executor import Executor, TaskEnded, TaskProgress, TaskStarted
from hil.harness.tree.leaf_figures import measure_leaf
from hil.harness.tree.observer import WalkObserver
from hil.harness.tree.result import Leaf, LeafStatus, TrainedNode
from hil.harness.tree.tasks import Task, TaskResult, leaf_error

TRIES = 3
"""Attempts of a task whose worker dies."""


class LeafProducer:
    """Makes the nodes and measures the leaves of one walk."""

    def __init__(
        self,
        model: Model,
        evaluator: Evaluator,
        limits: Budget,
        observer: WalkObserver,
        executor: Executor,
        failures: Path | None = None,
    ) -> None:
        self.evaluator, self.limits, self.observer = evaluator, limits, observer
        self._model, self._executor, self._failures = model, executor, failures
        self._variant = lru_cache(maxsize=None)(lambda settings: with_settings(model, settings))
        self._recipes: dict[SettledNode, ArtifactRecipe] = {}
        self._under_way: set[SettledNode | Candidate] = set()
        self._trained: dict[SettledNode, TrainedNode] = {}
        self._prepared: set[Candidate] = set()
        self._failed: dict[SettledNode | Candidate, HilError] = {}
        self._deaths: dict[str, int] = {}
        self._wanted: dict[SettledNode, None] = {}
        self._was_stored: dict[SettledNode, bool] = {}

    @property
    def trained(self) -> tuple[TrainedNode, ...]:
        """The nodes on the paths of the leaves so far, in the order of the leaves."""
        return tuple(self._trained[where] for where in self._wanted if where in self._trained)

    def chain(self, candidate: Candidate) -> list[SettledNode]:
        """Returns the base and every node on the path of a candidate."""
        node = candidate.node
        return [settled_node(self._model, node[:length], candidate.settings) for length in range(len(node) + 1)]

    def missing(self, candidate: Candidate) -> set[SettledNode]:
        """Returns the trainings on the path of a candidate that were not in the store when first asked for."""
        chain = self.chain(candidate)
        for parent, where in zip([None, *chain], chain, strict=False):
            if where not in self._was_stored:
                below = parent is None or self._was_stored[parent]
                self._was_stored[where] = below and self._stored(self._variant(candidate.settings), where) is not None
        return {where for where in chain if where.node and not self._was_stored[where]}

    def leaves(
        self,
        candidates: Sequence[Candidate],
        ends: Callable[[Leaf], bool] = lambda leaf: False,
        begins: Callable[[], bool] = lambda: True,
    ) -> list[Leaf]:
        """Measures the leaves in order, up to the first that `ends` accepts; begins one only while `begins()` is true.

        Raises the error of a task that is no fault of the leaf, and that of a base that cannot be made.
        """
        found: list[Leaf] = []
        begun: dict[Candidate, list[SettledNode]] = {}
        while len(found) < len(candidates):
            head = candidates[len(found)]
            if self._executor.ahead or not self._ready(head, begun):
                self._hand_over(candidates[len(found) :], begun, begins)
            if head not in begun:
                break
            if self._ready(head, begun):
                found.append(self._measured(head, begun[head]))
                if ends(found[-1]):
                    break
            else:
                self._done(self._executor.wait(self._heard))
        return found

    # -- nodes

    def _hand_over(
        self, candidates: Iterable[Candidate], begun: dict[Candidate, list[SettledNode]], begins: Callable[[], bool]
    ) -> None:
        """Submits the candidates' next tasks while the executor takes them."""
        for candidate in candidates:
            if candidate not in begun:
                if not self._executor.free() or not begins():
                    return
                begun[candidate] = self.chain(candidate)
            if not self._executor.free():
                return
            if task := self._next(candidate, begun[candidate]):
                self._under_way.add(task.candidate or task.settled)
                self._executor.submit(task)

    def _next(self, candidate: Candidate, chain: Sequence[SettledNode]) -> Task | None:
        """Returns the task for a candidate's first missing node, or its leaf; None if that is running or has failed."""
        model = self._variant(candidate.settings)
        for where in chain:
            if where in self._trained:
                continue
            if where in self._under_way or where in self._failed:
                return None
            self.observer.node_started(where)
            if not self._in_store(model, where):
                return self._task(model, where, None)
        if candidate in self._under_way or candidate in self._prepared or candidate in self._failed:
            return None
        return self._task(model, chain[-1], candidate)

    def _task(self, model: Model, where: SettledNode, candidate: Candidate | None) -> Task:
        evaluator, recipe = self.evaluator, self._recipes[where].as_json()
        wanted = (evaluator.vela, evaluator.target_name, evaluator.samples, evaluator.pipeline.compute)
        return Task(model, evaluator.pipeline.store.root, where, recipe, *wanted, candidate)

    def _stored(self, model: Model, where: SettledNode) -> Artifact | None:
        """Returns the artifact of a node whose parent is in the store."""
        self._recipes[where] = recipe = self.evaluator.pipeline.recipe(model, where.node)
        return self.evaluator.pipeline.store.find(recipe)

    def _in_store(self, model: Model, where: SettledNode) -> bool:
        if (artifact := self._stored(model, where)) is None:
            return False
        self._has(where, artifact, TaskResult(float(artifact.manifest["seconds"])))
        return True

    # -- events

    def _heard(self, event: TaskStarted | TaskProgress) -> None:
        what = event.task.candidate or event.task.settled
        if isinstance(event, TaskProgress):
            self.observer.progress(what, event.text, event.done, event.total)
        elif isinstance(what, Candidate):
            self.observer.leaf_started(what)

    def _done(self, done: TaskEnded) -> None:
        task = done.task
        what = task.candidate or task.settled
        self._under_way.discard(what)
        if isinstance(done.error, WorkerDiedError):
            self._died(task, done.error)
        elif done.error is not None:
            raise done.error
        elif done.made is not None and done.made.failed is not None:
            self._fails(task, done.made.failed)
        elif isinstance(what, Candidate):
            self._prepared.add(what)
        elif done.made is not None:
            self._arrived(task, done.made)

    def _arrived(self, task: Task, made: TaskResult) -> None:
        """Records a node that a worker made; raises `InfrastructureError` if it is not in this process's store."""
        if (artifact := self.evaluator.pipeline.store.find(self._recipes[task.settled])) is None:
            raise InfrastructureError(
                f"{task.title} was made, but is not in the store {task.store}",
                hint="the store must be one folder that every worker sees under this path",
            )
        self._has(task.settled, artifact, made)

    def _has(self, where: SettledNode, artifact: Artifact, made: TaskResult) -> None:
        epochs = read_history(artifact.read(HISTORY))
        self._trained[where] = TrainedNode(where.node, made.seconds, made.anew, where.settings, epochs)
        self.observer.node_finished(self._trained[where])

    def _died(self, task: Task, error: WorkerDiedError) -> None:
        """Fails the task if it ended its worker; raises `InfrastructureError` after `TRIES` other deaths."""
        if error.of_its_own:
            self._fails(task, crash_error(task.title, error))
            return
        self._deaths[task.title] = deaths = self._deaths.get(task.title, 0) + 1
        if deaths == TRIES:
            raise InfrastructureError(f"{task.title}: its worker died {TRIES} times: {error.args[0]}", log=error.log)

    def _fails(self, task: Task, error: HilError) -> None:
        """Records a failure; raises it for a base, which is nobody's leaf."""
        if not task.settled.node:
            raise error
        self._failed[task.candidate or task.settled] = error

    # -- leaves

    def _ready(self, candidate: Candidate, begun: Mapping[Candidate, Sequence[SettledNode]]) -> bool:
        return candidate in self._prepared or bool(self._why_not(candidate, begun.get(candidate, ())))

    def _why_not(self, candidate: Candidate, chain: Sequence[SettledNode]) -> HilError | None:
        return next((self._failed[what] for what in (*chain, candidate) if what in self._failed), None)

    def _measured(self, candidate: Candidate, chain: Sequence[SettledNode]) -> Leaf:
        self._wanted |= dict.fromkeys(chain)
        error = self._why_not(candidate, chain)
        leaf = _failed(candidate, error) if error else self._on_target(candidate)
        self.observer.leaf_finished(leaf)
        return leaf

    def _on_target(self, candidate: Candidate) -> Leaf:
        model = self._variant(candidate.settings)
        try:
            deployment = self.evaluator.deploy(model, candidate.leaf)
            return measure_leaf(self.evaluator, deployment, candidate, self.limits, self._failures)
        except Exception as error:
            return _failed(candidate, leaf_error(error))


def _failed(candidate: Candidate, error: Exception) -> Leaf:
    path = path_of(candidate.leaf)
    return Leaf(candidate.title, path, LeafStatus.FAILED, reason=str(error), settings=candidate.settings)
