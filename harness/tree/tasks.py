"""What a process is asked to make: a node of the tree, or everything of a leaf that needs no board.

    task = Task(model, store, place, made_of, vela, "sim", samples=8)
    made = make(task, say)                 # in this process
    make_in_child(task.plain(), [])        # the same where only plain values arrive

A task leaves its result in the store and says only that it is there: whoever asked finds it by the same recipe.  A
process elsewhere must come to that very recipe before it makes anything, so another version of a library, of a model
file or of this code is an error there and no other result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, CompileError, InfrastructureError, OptimizeError, StreamError
from hil.core.worker_child import tell
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import FineTune, Model, Recipe, load_model_file
from hil.harness.pipeline import Pipeline, Say
from hil.harness.store.store import Store
from hil.harness.tree.candidates import Candidate, SettledNode, with_settings
from hil.harness.vela.settings import VelaSettings

OF_A_LEAF = (OptimizeError, CompileError, StreamError)
"""What says that a technique, Vela or the NPU does not take this model on this path; anything else ends the walk."""


@dataclass(frozen=True)
class Task:
    """One thing to make: the Keras model of `place`, or `candidate` up to its outputs on `host` and `sim`.

    `model` has the settings of its candidate, `made_of` is what the node's recipe must be; Vela's settings, target and
    samples are the evaluator's.
    """

    model: Model
    store: Path
    place: SettledNode
    made_of: Mapping[str, Any]
    vela: VelaSettings
    target: str
    samples: int | None
    candidate: Candidate | None = None

    @property
    def title(self) -> str:
        return self.place.title if self.candidate is None else f"leaf {self.candidate.title}"

    def plain(self) -> dict[str, Any]:
        """As JSON; raises `BadInputError` for a model that no file describes, which no other process can have."""
        if not self.model.path.is_file():
            raise BadInputError(f"{self.model.name} comes from no model file: only this process can train it")
        return {
            "model": str(self.model.path),
            "recipe": json.loads(json.dumps(asdict(self.model.recipe))),
            "store": str(self.store.resolve()),
            "node": list(self.place.node),
            "made_of": dict(self.made_of),
            "leaf": self.candidate.leaf if self.candidate else None,
            "vela": asdict(self.vela),
            "target": self.target,
            "samples": self.samples,
        }


@dataclass(frozen=True)
class Made:
    """What became of a task: `anew` if it had to be trained, which took `seconds`; `failed` says why it cannot be."""

    seconds: float = 0.0
    anew: bool = False
    failed: OptimizeError | None = None


def make(task: Task, say: Say) -> Made:
    """Does a task in this process; raises `InfrastructureError` where it would not come to the recipe asked for."""
    pipeline = Pipeline(Store(task.store), say)
    try:
        _compare(task.made_of, pipeline.recipe(task.model, task.place.node).as_json())
        if task.candidate is not None:
            evaluator = Evaluator(pipeline, task.target, task.vela, task.samples)
            evaluator.prepare(evaluator.deploy(task.model, task.candidate.leaf))
            return Made()
        artifact = pipeline.keras(task.model, task.place.node)
    except OF_A_LEAF as error:
        return Made(failed=OptimizeError(str(error.args[0]), hint=error.hint, log=error.log))
    return Made(float(artifact.manifest["seconds"]), artifact.anew)


def make_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler of a worker process: `header` is a plain task; it tells how far it is, and gives `Made` as JSON."""
    made = make(_task(header), lambda text, done, total: tell({"text": text, "done": done, "total": total}))
    failed = made.failed
    reason = failed and {"message": failed.args[0], "hint": failed.hint, "log": failed.log}
    return {"seconds": made.seconds, "anew": made.anew, "failed": reason}, []


def made_of_plain(answer: Mapping[str, Any]) -> Made:
    """What the handler gave."""
    failed = answer["failed"]
    error = failed and OptimizeError(failed["message"], hint=failed["hint"], log=failed["log"])
    return Made(float(answer["seconds"]), bool(answer["anew"]), error)


def _task(plain: Mapping[str, Any]) -> Task:
    model = with_settings(_model(plain["model"]), _recipe(plain["recipe"]))
    vela = VelaSettings(**{**plain["vela"], "options": tuple(plain["vela"]["options"])})
    candidate = Candidate(plain["leaf"]) if plain["leaf"] is not None else None
    place, store = SettledNode(tuple(plain["node"])), Path(plain["store"])
    return Task(model, store, place, plain["made_of"], vela, plain["target"], plain["samples"], candidate)


@lru_cache
def _model(path: str) -> Model:
    return load_model_file(path)


def _recipe(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting as `Recipe` has it; what does not come back as it was is another recipe, which `make` refuses."""
    defaults = Recipe()
    return {field.name: _setting(getattr(defaults, field.name), plain[field.name]) for field in fields(Recipe)}


def _setting(default: Any, value: Any) -> Any:
    if isinstance(default, FineTune):
        return FineTune(**value)
    return tuple(value) if isinstance(value, list) else value


def _compare(wanted: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises `InfrastructureError` that names what differs."""
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
