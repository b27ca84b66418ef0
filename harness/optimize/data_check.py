"""Check of a model's data, loss and metric against its network, before anything is trained.

    task = check_data(model, TrainingData(*train), TrainingData(*test))     # LearningTask("classes", "top1", (10,))

The network runs on samples of the data as it is before training, or with its trained weights where the model has some;
loss and metric are called on its outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.blame import first_cause
from hil.harness.metrics.labels import Labels, not_finite
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import loss_kind
from hil.harness.metrics.scores import finite_score
from hil.harness.model import Model
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet, seeded
from hil.harness.optimize.network_check import check_network
from hil.harness.optimize.trained_base import base_model, build_network
from hil.harness.optimize.training import Progress, TrainingData, check_samples, keras_loss, loss_labels, predict

_SAMPLES = 32
_SAME_VALUES = ("Reshape", "Flatten", "Permute", "Dropout")
"""Layers that move values and change none."""


def check_data(model: Model, train: TrainingData, test: TrainingData, progress: Progress | None = None) -> LearningTask:
    """Finds the learning task of a model file.

    Raises `BadInputError` of one line if samples, labels, loss or metric do not fit each other and the network.
    """
    for split, data in (("training", train), ("test", test)):
        if not np.isfinite(data.x).all():
            raise BadInputError(not_finite(data.x, f"{split} samples"))
        if len(data.x) > 1 and all(np.array_equal(sample, data.x[0]) for sample in data.x[1:]):
            raise BadInputError(f"all {len(data.x)} {split} samples are equal: no range can be calibrated with them")
    trained = model.weights is not None or model.keras_file is not None
    network = base_model(model, None) if trained else _initial_network(model)
    for data in (train, test):
        check_samples(network, data.x)
    few = train.sample(_SAMPLES, model.recipe.seed)
    outputs = _run(network, few.x)
    if not np.isfinite(outputs).all():
        raise BadInputError("the network's outputs are not finite on training samples: look at its weights")
    labels, loss = Labels(test.y, tuple(outputs.shape)[1:]), loss_kind(keras_loss(model.loss))
    task = learning_task(model.metric, labels, loss, test.x.shape[1:], _activation(network))
    if not trained:  # else a technique checks the labels before it trains, and ptq needs no loss
        _probe_loss(network, model, train, few, outputs)
    if task.own is not None:
        _probe_metric(task, predict(network, test.x, progress), test.y)
    return task


def _initial_network(model: Model) -> Any:
    """Returns the network with the weights that training begins with."""
    with seeded(model.recipe.seed):
        network = build_network(model)
    check_network(network)
    return network


def _run(network: Any, x: Array) -> Any:
    """Returns the outputs (n, ...); raises `BadInputError` if TensorFlow cannot run the network on this machine."""
    try:
        with quiet():
            return network(x, training=False)
    except Exception as error:
        message = f"the network does not run on samples of shape {x.shape[1:]}: {type(error).__name__}"
        raise BadInputError(f"{message}: {first_cause(error)}") from error


def _activation(network: Any) -> str:
    """Name of the activation at the network's end, empty if there is none or it is not known."""
    layer = network.outputs[0]._keras_history.layer
    while True:
        if getattr(layer, "outputs", None):  # a model inside the model
            layer = layer.outputs[0]._keras_history.layer
        elif type(layer).__name__ in _SAME_VALUES:
            layer = layer.input._keras_history.layer
        else:
            break
    called = getattr(layer, "symbol", None) or getattr(getattr(layer, "activation", None), "__name__", "")
    return str(called or type(layer).__name__).rpartition(".")[2].lower()


def _probe_loss(network: Any, model: Model, train: TrainingData, few: TrainingData, outputs: Any) -> None:
    """Raises `BadInputError` if labels do not fit the loss, or the loss of a few samples is no finite number.

    `outputs` are those of the samples `few`.
    """
    tf, loss = import_tensorflow(), keras_loss(model.loss)
    loss_labels(network, train, model.loss)
    labels = loss_labels(network, few, model.loss)
    line = f"{Labels(train.y, tuple(outputs.shape)[1:], 'training')}"
    name = loss_kind(loss).name
    try:
        with quiet():
            network.compile(loss=loss)
            value = float(network.compute_loss(None, tf.constant(labels), outputs))
    except Exception as error:
        raise BadInputError(f"the loss {name} fails: {line}: {type(error).__name__}: {first_cause(error)}") from error
    if not np.isfinite(value):
        raise BadInputError(f"the loss {name} is {value} before training: {line}")


def _probe_metric(task: LearningTask, outputs: Array, labels: Array) -> None:
    """Raises `BadInputError` if the user's metric gives no finite number, neither for `outputs` nor for random ones.

    One that fails on an untrained network alone, which may put all samples into one class, may well be right.
    """
    draw: Array = np.asarray(np.random.default_rng(0).random(outputs.shape), np.float32)
    rows: Array = draw / draw.sum(axis=-1, keepdims=True) if outputs.ndim > 1 and outputs.shape[-1] > 1 else draw
    try:
        finite_score(task, outputs, labels, "untrained network")
    except BadInputError as error:
        try:
            finite_score(task, rows, labels, "random outputs")
        except BadInputError:
            raise error from None
