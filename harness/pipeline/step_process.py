"""The process in which the pipeline's builders run, so that its death fails one artifact and not the session.

    note = build_in_process("tflite", pipeline, model, folder, {"leaf": "ptq"}, compute)

TensorFlow's converter crashes on some networks, Keras and TFMOT run for hours, and a model file's functions may do
anything.  All of it happens in one worker (`hil.core.worker`), which stays warm, so that TensorFlow is imported once,
there instead of here.  The worker loads the model file itself; this process sends its path, the recipe and a digest of
its source.

A crash, `exit` or a hang (`hil.core.progress_watch`) is a `CrashError` that says so, the end of memory or of a disk an
`InfrastructureError`.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, CrashError, InfrastructureError, NoMemoryError, WorkerDiedError
from hil.core.machine_limits import full_folder_error, limit_in_text
from hil.core.worker import Worker
from hil.core.worker_child import tell
from hil.harness.compute import OF_CUDA, OF_ONEDNN, OF_TENSORFLOW, Compute
from hil.harness.model import FineTune, Model, Recipe, load_model_file
from hil.harness.pipeline.builders import Note
from hil.harness.pipeline.step_inputs import StepInputs
from hil.harness.store.source_digest import source_digest
from hil.harness.work_titles import step_title

HANDLER = "hil.harness.pipeline.step_child:build_in_child"
PATIENCE = "HIL_PATIENCE_S"
"""Environment variable: seconds without progress, of computing or of waiting, after which a step hangs."""
_PATIENCE_S = 300.0
_HINT = f"{PATIENCE} sets the seconds"
_SAME = ("build", "data", "metric", "loss", "loss_weights", "weights", "tflite")


def is_of_file(model: Model) -> bool:
    """Returns whether another process gets this model by loading its file: only recipe and limits may differ."""
    if not model.path.is_file():
        return False
    written = load_model_file(model.path, needs_weights=False)
    same = all(getattr(model, name) == getattr(written, name) for name in _SAME)
    return same and model.recipe.train == written.recipe.train


def model_as_json(model: Model) -> dict[str, Any]:
    """Converts a model to JSON for another process; raises `BadInputError` for one without a file."""
    if not model.path.is_file():
        raise BadInputError(f"{model.name} comes from no model file: only this process can train it")
    return {"file": str(model.path), "recipe": json.loads(json.dumps(asdict(replace(model.recipe, train=None))))}


def model_of_json(plain: Mapping[str, Any]) -> Model:
    """Loads the model that `model_as_json` describes; in its file, the recipe may be another, but for `train`."""
    written, defaults, recipe = load_model_file(plain["file"]), Recipe(), plain["recipe"]
    settings = {field.name: _setting(getattr(defaults, field.name), recipe[field.name]) for field in fields(Recipe)}
    return replace(written, recipe=replace(Recipe(**settings), train=written.recipe.train))


def _setting(default: Any, value: Any) -> Any:
    if isinstance(default, FineTune):
        return FineTune(**value)
    return tuple(value) if isinstance(value, list) else value


def report(text: str, done: int, total: int) -> None:
    """Reports progress from a worker to the process that asked it, as `Pipeline.say`."""
    tell({"text": text, "done": done, "total": total})


def build_in_process(
    arrow: str, pipeline: StepInputs, model: Model, folder: Path, arguments: Mapping[str, Any], compute: Compute
) -> Note:
    """Runs a builder in the worker, which uses `compute`; its progress goes to the pipeline's.

    Raises the error of the builder, `CrashError` if its process ended or hung, `InfrastructureError` if a limit of the
    machine ended it.
    """
    header = {
        "arrow": arrow,
        "arguments": dict(arguments),
        "model": model_as_json(model),
        "source": source_digest(model),
        "store": str(pipeline.store.root.resolve()),
        "folder": str(folder.resolve()),
        "surroundings": _surroundings(),
        "compute": compute.as_json(),
    }
    try:
        answer, _ = _worker(compute).request(
            header,
            told=lambda told: pipeline.say(told["text"], told["done"], told["total"]),
            again=False,
            patience_s=patience_s(),
        )
    except WorkerDiedError as death:
        title = step_title(arrow, model, arguments)
        error = full_folder_error(pipeline.store.root, title) or crash_error(title, death)
        pipeline.store.tidy()  # of artifacts that the builder was making on its way
        raise error from death
    note: Note = answer["note"]
    return note


def _surroundings() -> dict[str, Any]:
    """Describes what a user's code may depend on in this process: its import path, folder and environment."""
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:
        folder = ""
    return {"path": list(sys.path), "folder": folder, "environment": dict(os.environ)}


def take_over(surroundings: Mapping[str, Any]) -> None:
    """Gives the worker the surroundings of the process that asks it: a conftest may have changed them."""
    sys.path[:] = surroundings["path"]
    if surroundings["folder"]:
        os.chdir(surroundings["folder"])
    own = {name: os.environ[name] for name in ("TMPDIR", OF_TENSORFLOW, OF_ONEDNN, OF_CUDA) if name in os.environ}
    wanted = {**surroundings["environment"], **own}
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


@functools.cache
def _worker(compute: Compute) -> Worker:
    return Worker(HANDLER, compute.environment())


def patience_s() -> float:
    """Returns the seconds without progress that a step may take; raises `BadInputError` for an invalid variable."""
    text = os.environ.get(PATIENCE, "")
    if not text:
        return _PATIENCE_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise BadInputError(f"{PATIENCE}={text} is no number of seconds")
    return seconds


def crash_error(title: str, death: WorkerDiedError) -> CrashError | InfrastructureError:
    """Returns the error of a step whose process ended."""
    code = death.returncode or 0
    if death.expired:
        return CrashError(f"{title}: its process {death.expired} and was ended", hint=_HINT, log=death.log)
    if death.out_of_memory:
        return NoMemoryError(f"{title}: ended by the kernel, which had no more memory", log=death.log)
    if limit := limit_in_text(death.log, title):
        return limit
    if code >= 0:
        return CrashError(f"{title}: something in it ended the process with exit code {code}", log=death.log)
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if not death.crashed:
        return CrashError(f"{title}: somebody ended its process ({name})", log=death.log)
    return CrashError(f"{title}: native code crashed ({name})", hint=death.last_words, log=death.log)
