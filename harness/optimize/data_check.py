"""Check of a model's data, loss and metric against its network, before anything is trained.

    task = check_data(model, TrainingData(*train), TrainingData(*test))     # LearningTask("classes", "top1", (10,))

The network runs on samples of the data as it is before training, or with its trained weights where the model has some;
loss and metric are called on its outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.harness.metrics.labels import Labels, not_finite
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import loss_kind
from hil.harness.metrics.scores import finite_score
from hil.harness.model import Model
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet, seeded
from hil.harness.optimize.trained_base import base_model, build_network
from hil.harness.optimize.training import TrainingData, check_samples, keras_loss, loss_labels

_BATCH = 32
_ONE_VALUE = ("Reshape", "Flatten", "Permute", "Dropout")
"""Layers that move values and change none."""


def check_data(model: Model, train: TrainingData, test: TrainingData) -> LearningTask:
    """Finds the learning task of a model file.

    Raises `BadInputError` of one line if samples, labels, loss or metric do not fit each other and the network.
    """
    for split, data in (("training", train), ("test", test)):
        if not np.isfinite(data.x).all():
            raise BadInputError(not_finite(data.x, f"{split} samples"))
    with seeded(model.recipe.seed):
        trained = model.weights is not None or model.keras_file is not None
        network = base_model(model, None) if trained else build_network(model)
    _check_shapes(network)
    for data in (train, test):
        check_samples(network, data.x)
    loss = loss_kind(keras_loss(model.loss))
    inputs, outputs = test.x.shape[1:], _run(network, test.x[:1]).shape[1:]
    task = learning_task(model.metric, Labels(test.y, outputs), loss, inputs, _activation(network))
    _probe_loss(network, train.sample(_BATCH, model.recipe.seed), model)
    if task.own is not None:
        _probe_metric(network, test, task)
    return task


def _check_shapes(network: Any) -> None:
    """Raises `BadInputError` unless the network has one input of a fixed shape and one output."""
    if not getattr(network, "inputs", None):
        raise BadInputError(
            f"the model {network.name} is of a class of its own: its layers are not known",
            hint="return a functional or sequential model with an Input",
        )
    for name, tensors in (("inputs", network.inputs), ("outputs", network.outputs)):
        if len(tensors) != 1:
            shapes = ", ".join(str(tuple(tensor.shape)[1:]) for tensor in tensors)
            hint = "wrap it in a model that has one of each"
            raise BadInputError(f"the model has {len(tensors)} {name} ({shapes}), a model file measures one", hint=hint)
    shape = tuple(network.inputs[0].shape)[1:]
    if None in shape:
        raise BadInputError(f"the model's input shape {shape} is not fixed", hint="give every axis of Input a size")


def _run(network: Any, x: Array) -> Array:
    """Outputs (n, ...) of the network; raises `BadInputError` if TensorFlow cannot run it on this machine."""
    try:
        with quiet():  # not `predict`, whose errors begin with the trace of a graph
            parts = [network(x[start : start + _BATCH], training=False) for start in range(0, len(x), _BATCH)]
            return np.concatenate([np.asarray(part) for part in parts])
    except Exception as error:
        raise BadInputError(f"the network does not run on samples {x.shape[1:]}: {_reason(error)}") from error


def _activation(network: Any) -> str:
    """Name of the activation at the network's end, empty if there is none or it is not known."""
    layer = network.outputs[0]._keras_history.layer
    while True:
        if getattr(layer, "outputs", None):  # a model inside the model
            layer = layer.outputs[0]._keras_history.layer
        elif type(layer).__name__ in _ONE_VALUE:
            layer = layer.input._keras_history.layer
        else:
            break
    called = getattr(layer, "symbol", None) or getattr(getattr(layer, "activation", None), "__name__", "")
    return str(called or type(layer).__name__).rpartition(".")[2].lower()


def _probe_loss(network: Any, data: TrainingData, model: Model) -> None:
    """Raises `BadInputError` if the loss of a few samples cannot be computed, or is no finite number."""
    tf, labels = import_tensorflow(), loss_labels(network, data, model.loss)
    name = loss_kind(keras_loss(model.loss)).name
    shapes = Labels(data.y, tuple(network(data.x[:1]).shape)[1:], "training")
    try:
        with quiet():
            network.compile(loss=keras_loss(model.loss))
            value = float(network.compute_loss(None, tf.constant(labels), network(data.x, training=False)))
    except HilError:
        raise
    except Exception as error:
        raise BadInputError(f"the loss {name} fails: {shapes}: {_reason(error)}") from error
    if not np.isfinite(value):
        raise BadInputError(f"the loss {name} is {value} before training: {shapes}")


def _probe_metric(network: Any, test: TrainingData, task: LearningTask) -> None:
    """Raises `BadInputError` if the user's metric gives no number for any outputs.

    One that fails on an untrained network alone (all samples in one class) may well be right, so it is also tried on
    random outputs.
    """
    outputs = _run(network, test.x)
    draw = np.random.default_rng(0).random(outputs.shape, np.float32)
    rows = draw / draw.sum(axis=-1, keepdims=True) if outputs.shape[-1] > 1 else draw
    try:
        finite_score(task, outputs, test.y, "untrained network")
    except BadInputError as error:
        try:
            finite_score(task, rows, test.y, "random outputs")
        except BadInputError:
            raise error from None


def _reason(error: Exception) -> str:
    """Class and first line of an exception of TensorFlow, Keras or the user's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[:2] if lines and lines[0].startswith("Exception encountered when calling") else lines[:1]
    return f"{type(error).__name__}: {' '.join(told)}"
