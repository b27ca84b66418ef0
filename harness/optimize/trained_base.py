"""The trained base of a model: read from its file, filled with its weights, or trained by its recipe.

Weights are an `.npz`: one float32 array per weight, by the weight's name in Keras ("pw1/kernel:0"); never a pickle.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.data.samples import Samples
from hil.harness.model import Model
from hil.harness.optimize.keras.any_format import read_network
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.keras.keras3 import is_keras3, rebuild, reset_layer_names
from hil.harness.optimize.network_check import check_network
from hil.harness.optimize.network_inputs import Progress
from hil.harness.optimize.training import TrainingPlan, fit, goal_of
from hil.harness.optimize.training_history import OnEpoch
from hil.harness.output_file import write_output

_HINT = "return a functional or sequential model of Keras 2 or 3; a file is named without a function: build=FILE"


def base_model(
    model: Model,
    data: Samples | None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    validation: Samples | None = None,
) -> Any:
    """Returns the trained Keras base: read from its file, built with `model.weights`, or trained by its recipe.

    `data` are the training samples, needed only to train.  Raises `BadInputError` without them, or if the weights do
    not fit the network.
    """
    if model.keras_file is None and model.weights is None:
        if data is None:
            raise BadInputError(f"model {model.name} has no weights and no training data to make them")
        return train_base(model, data, progress, on_epoch, validation)
    network = build_network(model)
    check_network(network)
    if model.weights is None:
        return network
    load_weights(network, model.file(model.weights))
    return network


def train_base(
    model: Model,
    data: Samples,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    validation: Samples | None = None,
) -> Any:
    """Trains the network from its initial weights, seeded by the recipe."""
    recipe = model.recipe
    with seeded(recipe.seed):
        network = build_network(model)
        check_network(network)
        goal = replace(goal_of(model), validation=validation)
        fit(
            network,
            data,
            TrainingPlan(recipe.base, recipe.batch_size, recipe.seed, goal, progress, "base", on_epoch=on_epoch),
        )
    return network


def save_weights(network: Any, path: Path) -> None:
    """Writes all weights as an `.npz`, whole or not at all; the same weights give the same bytes.

    Raises `InfrastructureError` if the file cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **{weight.name: weight.numpy() for weight in network.weights})
    write_output(path, content.getvalue())


def load_weights(network: Any, path: Path) -> None:
    """Sets the weights of `network` from an `.npz`; raises `BadInputError` if names or shapes differ."""
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        hint = "an .npz as `python -m hil.harness.optimize.base_weights` writes it"
        raise BadInputError(f"{path} holds no weights by name: {error}", hint=hint) from None
    for weight in network.weights:
        value = values.pop(weight.name, None)
        if value is None or value.shape != tuple(weight.shape):
            found = "nothing" if value is None else f"shape {value.shape}"
            raise BadInputError(f"{path}: {weight.name} should have shape {tuple(weight.shape)}, but there is {found}")
        weight.assign(value)
    if values:
        raise BadInputError(f"{path}: the network has no weight {sorted(values)[0]}")


def build_network(model: Model) -> Any:
    """Builds the network as a tf_keras model; a Keras 3 model is rebuilt.

    Keras' counters of unnamed layers are reset, so weight names do not depend on earlier models.  Raises
    `BadInputError` if `build` fails or returns no Keras model, or the file that it names holds none, `OptimizeError` if
    a layer cannot be rebuilt.
    """
    if model.build is None:
        raise BadInputError(f"model {model.name} is an int8 file: it has no Keras base")
    if not callable(model.build):
        return read_network(model.file(model.build))
    keras = import_keras()
    keras.backend.reset_uids()
    reset_layer_names()
    try:
        network = model.build()
        if is_keras3(network):
            return rebuild(network)
    except HilError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {first_cause(error)}"
        raise BadInputError(f"build of the model {model.name} failed: {what}") from error
    if not isinstance(network, keras.Model):
        kind = f"{type(network).__module__.split('.')[0]} {type(network).__name__}"
        raise BadInputError(f"build of the model {model.name} gives no Keras model but a {kind}", hint=_HINT)
    return network
