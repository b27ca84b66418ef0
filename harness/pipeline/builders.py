"""Builders of the artifacts that need TensorFlow or run the user's code: one function an arrow of the pipeline.

    note = build("base", pipeline, model, folder, {})

A builder writes its files into an empty folder and may return a JSON note.  It takes what the artifact is made of from
the pipeline, whose store has it already.  `hil.harness.pipeline.step_process` runs builders in a process of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.errors import HilError
from hil.core.machine_limits import machine_error
from hil.harness.blame import blamed
from hil.harness.data.samples import Samples
from hil.harness.data.samples_files import write_arrays, write_samples
from hil.harness.model import Model
from hil.harness.model.metric import other_outputs
from hil.harness.optimize.paths import Node, conversion, path_of, training_node
from hil.harness.optimize.training_history import Epoch
from hil.harness.pipeline.step_inputs import StepInputs
from hil.harness.work_titles import step_title

KERAS = "model.h5"
TFLITE = "model.tflite"
WEIGHTS = "weights.json"
PROMISES = "promises.json"
FIDELITY = "fidelity.json"
ARRAYS = "arrays.npz"
NOTES = "notes.json"
HISTORY = "training.json"
SPREAD = "sensitivity.json"
_REPORTED = 10_000
"""Samples between two reports of their number."""

Note = Mapping[str, Any] | None


def build(arrow: str, pipeline: StepInputs, model: Model, folder: Path, arguments: Mapping[str, Any]) -> Note:
    """Runs the builder of `arrow`; `arguments` are JSON values.

    An exception of a library or of the user's code becomes the error that names it, a limit of the machine an
    `InfrastructureError`; another error of this package is raised as it is.
    """
    title = step_title(arrow, model, arguments)
    try:
        return BUILDERS[arrow](pipeline, model, folder, **arguments)
    except HilError as error:
        if (limit := machine_error(error, title)) and limit is not error:
            raise limit from error
        raise
    except Exception as error:
        raise machine_error(error, title, pipeline.store.root) or blamed(error, title) from error


def _data(pipeline: StepInputs, model: Model, folder: Path, split: str) -> None:
    text, done = step_title("data", model, {"split": split}), 0
    pipeline.say(text, 0, 0)

    def parts() -> Iterator[Samples]:
        nonlocal done
        for part in model.data.read(split):
            yield part
            done += len(part)
            if done // _REPORTED > (done - len(part)) // _REPORTED:
                pipeline.say(f"{text}: {done:,} samples", 0, 0)

    write_samples(parts(), folder)


def _base(pipeline: StepInputs, model: Model, folder: Path, trains: bool) -> None:
    from hil.harness.optimize.keras.hdf5_file import save_model
    from hil.harness.optimize.keras.keras3 import rebuilding_notes
    from hil.harness.optimize.trained_base import base_model

    for output in ("", *other_outputs(model.metric)):  # what does not fit is known before anything is trained
        pipeline.learning_task(model, output)
    data = pipeline.samples(model, "train") if trains else None
    epochs: list[Epoch] = []
    progress = _progress(pipeline, step_title("base", model, {}))
    held = pipeline.validation(model) if trains else None
    made = base_model(model, data, progress, epochs.append, held)
    save_model(made, folder / KERAS)
    write_json(folder / NOTES, rebuilding_notes(made))
    write_json(folder / HISTORY, [asdict(epoch) for epoch in epochs])


def _technique(pipeline: StepInputs, model: Model, folder: Path, node: Node) -> None:
    from hil.harness.optimize.clipped_outputs import clipped_outputs
    from hil.harness.optimize.frozen_layers import frozen_notes
    from hil.harness.optimize.keras.hdf5_file import save_model
    from hil.harness.optimize.npu_rules import step_notes
    from hil.harness.optimize.steps import apply_checked
    from hil.harness.optimize.training import goal_of

    node = tuple(node)
    settings, text = pipeline.settings(model, node), step_title("technique", model, {"node": node})
    data, calibration = pipeline.samples(model, "train"), pipeline.calibration(model)
    before = _network(pipeline, model, node[:-1])
    earlier = pipeline.promises(model, node[:-1])
    epochs: list[Epoch] = []
    progress = _progress(pipeline, text)
    teacher = _network(pipeline, model, ()) if model.recipe.train else None
    goal = replace(goal_of(model), teacher=teacher, calibration=calibration, validation=pipeline.validation(model))
    made = apply_checked(node[-1], before, data, settings, earlier, goal, progress, epochs.append)
    save_model(made.model, folder / KERAS)
    clipped = clipped_outputs(made.model, calibration.x)
    notes = [
        *frozen_notes(node[-1], before),
        *step_notes(node[-1], before, made.model, settings),
        *(f"{node[-1]}: {line}" for line in clipped),
    ]
    write_json(folder / PROMISES, [asdict(promise) for promise in made.promises])
    write_json(folder / NOTES, notes)
    write_json(folder / WEIGHTS, [asdict(layer) for layer in made.weights])
    write_json(folder / HISTORY, [asdict(epoch) for epoch in epochs])


def _sensitivity(pipeline: StepInputs, model: Model, folder: Path, node: Node) -> None:
    from hil.harness.optimize.canonical.network import canonical_network
    from hil.harness.optimize.selection import prunable_layers
    from hil.harness.optimize.sensitivity import allocate_sparsity
    from hil.harness.optimize.training import goal_of

    node = tuple(node)
    pipeline.say(step_title("sensitivity", model, {}), 0, 0)
    network = canonical_network(_network(pipeline, model, node[:-1]), node[-1])
    data = pipeline.samples(model, "train")
    layers = prunable_layers(node[-1], network, model.recipe)
    write_json(folder / SPREAD, asdict(allocate_sparsity(network, data, model.recipe, layers, goal_of(model))))


def _size(pipeline: StepInputs, model: Model, folder: Path) -> Note:
    from hil.harness.optimize.network_size import count_params_and_macs

    params, macs = count_params_and_macs(model)
    return {"params": params, "macs": macs}


def _learning_task(pipeline: StepInputs, model: Model, folder: Path, output: str = "") -> Note:
    from hil.harness.optimize.data_check import check_data

    text = step_title("learning_task", model, {})
    pipeline.say(text, 0, 0)
    train, test = (pipeline.loaded_samples(model, split) for split in ("train", "test"))
    found = check_data(model, train, test, _progress(pipeline, text), output)
    return {"task": found.task.as_json(), "interface": found.interface.as_json()}


def _predictions(pipeline: StepInputs, model: Model, folder: Path, node: Node) -> None:
    from hil.harness.optimize.network_inputs import prediction_batches

    node = tuple(node)
    text = step_title("predictions", model, {"node": node})
    pipeline.say(text, 0, 0)
    network = _network(pipeline, model, node)
    batches = prediction_batches(network, pipeline.samples(model, "test"), _progress(pipeline, text))
    write_arrays(folder, batches)


def _accuracy(pipeline: StepInputs, model: Model, folder: Path, output: str = "") -> Note:
    """Takes the arrays from the folder, where they do not stay."""
    from hil.harness.metrics.accuracy import accuracy_of
    from hil.harness.metrics.array_groups import restored

    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        found = accuracy_of(pipeline.learning_task(model, output), restored(arrays))
    (folder / ARRAYS).unlink()
    return asdict(found)


def _tflite(pipeline: StepInputs, model: Model, folder: Path, leaf: str, ptq_db: float | None) -> None:
    from hil.harness.optimize.conversion import to_tflite
    from hil.harness.optimize.layer_fidelity import check_fidelity
    from hil.harness.optimize.survival import check_tflite

    path = path_of(leaf)
    text = step_title("tflite", model, {"leaf": leaf})
    pipeline.say(text, 0, 0)
    node = training_node(path)
    loaded = _network(pipeline, model, node)
    calibration = pipeline.calibration(model).x
    tflite = to_tflite(loaded, conversion(path), calibration, _progress(pipeline, text))
    (folder / TFLITE).write_bytes(tflite)
    weights = check_tflite(tflite, loaded, pipeline.promises(model, node), path[-1])
    write_json(folder / WEIGHTS, [asdict(layer) for layer in weights])
    write_json(folder / FIDELITY, asdict(check_fidelity(tflite, loaded, calibration, leaf, ptq_db)))


BUILDERS: dict[str, Callable[..., Note]] = {
    "data": _data,
    "base": _base,
    "technique": _technique,
    "sensitivity": _sensitivity,
    "size": _size,
    "learning_task": _learning_task,
    "predictions": _predictions,
    "accuracy": _accuracy,
    "tflite": _tflite,
}
"""Arrow -> its builder: (pipeline, model, folder, its arguments)."""


def _network(pipeline: StepInputs, model: Model, node: Node) -> Any:
    """Reads the Keras model of a node."""
    from hil.harness.optimize.keras.hdf5_file import load_model
    from hil.harness.optimize.keras.own_layers import register_layers

    path = pipeline.keras(model, node).path(KERAS)
    register_layers(path, model.build)
    return load_model(path)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value, indent=1))


def _progress(pipeline: StepInputs, text: str) -> Callable[[int, int, str], None]:
    return lambda done, total, what: pipeline.say(text, done, total)
