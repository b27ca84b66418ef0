"""Tasks of an executor: to make a node of the tree, or the parts of a leaf that need no board.

    task = Task(model, store, node, made_of, vela, "sim", 8, compute)
    result = run_task(task, say)           # in this process
    run_in_child(task.as_json(), [])       # in a worker process

A task puts its result into the store, where the walk finds it by the same recipe.  A worker process first compares that
recipe with its own, so another version of a library, of a model file or of this code is an error and never another
result.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.core.error_json import error_as_json, error_of_json
from hil.core.errors import HilError, InfrastructureError, NoMemoryError, WorkerError
from hil.core.machine_limits import machine_error
from hil.harness.blame import first_cause
from hil.harness.compute import Compute, compute_of_json
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Model
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.step_process import model_as_json, model_of_json, report
from hil.harness.say import Say
from hil.harness.store.store import Store
from hil.harness.tree.candidates import Candidate, SettledNode
from hil.harness.vela.settings import VelaSettings


def leaf_error(error: Exception) -> HilError:
    """Returns the error that fails a leaf alone; raises the error that ends the walk: a target or disk that broke down.

    Want of memory fails the leaf that wanted it.
    """
    limit = machine_error(error)
    if limit and not isinstance(limit, WorkerError | NoMemoryError):
        raise limit
    if isinstance(limit, NoMemoryError):
        return limit
    if isinstance(error, HilError):
        return error
    line = f"a defect of hil: {type(error).__name__}: {first_cause(error)}"
    return WorkerError(line, log=traceback.format_exc())


@dataclass(frozen=True)
class Task:
    """One task: to make the Keras model of `settled`, or `candidate` up to its outputs on `host` and `sim`.

    `model` has the settings of its candidate, `made_of` is the expected recipe of the node as JSON; Vela's settings,
    target, samples and `compute` are those of the evaluator.
    """

    model: Model
    store: Path
    settled: SettledNode
    made_of: Mapping[str, Any]
    vela: VelaSettings
    target: str
    samples: int | None
    compute: Compute
    candidate: Candidate | None = None

    @property
    def title(self) -> str:
        return self.settled.title if self.candidate is None else f"leaf {self.candidate.title}"

    def as_json(self) -> dict[str, Any]:
        """Converts the task to JSON; raises `BadInputError` for a model without a file, which no process can load."""
        return {
            "model": model_as_json(self.model),
            "store": str(self.store.resolve()),
            "node": list(self.settled.node),
            "made_of": dict(self.made_of),
            "leaf": self.candidate.leaf if self.candidate else None,
            "vela": asdict(self.vela),
            "target": self.target,
            "samples": self.samples,
            "compute": self.compute.as_json(),
        }


@dataclass(frozen=True)
class TaskResult:
    """Result of a task: `anew` if it was trained now, `seconds` of the training, `failed` the leaf's error."""

    seconds: float = 0.0
    anew: bool = False
    failed: HilError | None = None


def run_task(task: Task, say: Say, *, isolated: bool = True) -> TaskResult:
    """Runs a task; raises `InfrastructureError` if its recipe differs from `made_of`.

    `isolated` as for `Pipeline`: a worker process is isolated already.
    """
    pipeline = Pipeline(Store(task.store), say, isolated=isolated, compute=task.compute)
    try:
        _compare(task.made_of, pipeline.recipe(task.model, task.settled.node).as_json())
        if task.candidate is not None:
            evaluator = Evaluator(pipeline, task.target, task.vela, task.samples)
            evaluator.prepare(evaluator.deploy(task.model, task.candidate.leaf))
            return TaskResult()
        artifact = pipeline.keras(task.model, task.settled.node)
    except Exception as error:
        return TaskResult(failed=leaf_error(error))
    return TaskResult(float(artifact.manifest["seconds"]), artifact.anew)


def run_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handles a task in a worker process: `header` is the task; reports progress, returns a `TaskResult` as JSON."""
    task = _task(header)
    task.compute.check_here()
    made = run_task(task, report, isolated=False)
    failed = made.failed and error_as_json(made.failed)
    return {"seconds": made.seconds, "anew": made.anew, "failed": failed}, []


def result_of_json(answer: Mapping[str, Any]) -> TaskResult:
    """Converts the handler's answer to a `TaskResult`."""
    failed = answer["failed"] and error_of_json(answer["failed"])
    return TaskResult(float(answer["seconds"]), bool(answer["anew"]), failed)


def _task(plain: Mapping[str, Any]) -> Task:
    model = model_of_json(plain["model"])
    vela = VelaSettings(**{**plain["vela"], "options": tuple(plain["vela"]["options"])})
    candidate = Candidate(plain["leaf"]) if plain["leaf"] is not None else None
    settled, store = SettledNode(tuple(plain["node"])), Path(plain["store"])
    of_evaluator = plain["target"], plain["samples"], compute_of_json(plain["compute"])
    return Task(model, store, settled, plain["made_of"], vela, *of_evaluator, candidate)


def _compare(wanted: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises `InfrastructureError` naming the first difference of two recipes."""
    different = next((name for name in wanted if _json(wanted[name]) != _json(here.get(name))), None)
    if different is None:
        return
    ours, theirs = wanted[different], here.get(different)
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        ours, theirs = ({name: side.get(name) for name in names} for side in (ours, theirs))
    raise InfrastructureError(
        f"a worker would make {wanted['step']} of something else: its {different} {_json(theirs)}, here {_json(ours)}",
        hint="every worker needs the same model files, data, libraries and version of hil",
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
