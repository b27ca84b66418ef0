"""Check of a model's data, loss and metric against its network, before anything is trained.

    check_data(model, train, test).task         # LearningTask("classes", "top1", (10,))

The network runs on samples of the data as it is before training, or with its trained weights where the model has some;
loss and metric are called on its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.blame import first_cause
from hil.harness.data.interface import Interface, interface
from hil.harness.data.samples import Samples
from hil.harness.metrics.array_groups import mapped
from hil.harness.metrics.labels import Labels, not_finite
from hil.harness.metrics.learning_task import LearningTask, labels_of_metric, learning_task
from hil.harness.metrics.scores import decoded_shape, finite_score
from hil.harness.model import Model
from hil.harness.model.metric import ArrayOrTuple, ModelMetric, metric_of_output, takes_all_outputs
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet, seeded
from hil.harness.optimize.network_check import check_network
from hil.harness.optimize.network_inputs import Progress, as_inputs, as_outputs, check_samples, predict
from hil.harness.optimize.output_losses import output_losses
from hil.harness.optimize.trained_base import base_model, build_network

_SAMPLES = 32
_SAME_VALUES = ("Reshape", "Flatten", "Permute", "Dropout")
"""Layers that move values and change none."""


@dataclass(frozen=True)
class CheckedData:
    """The learning task of a model, and the interface of its network."""

    task: LearningTask
    interface: Interface


def check_data(
    model: Model, train: Samples, test: Samples, progress: Progress | None = None, output: str = ""
) -> CheckedData:
    """Finds the learning task of a model file; the samples are as its loader gives them.

    `output` is one of several outputs that have a metric; empty for the one that decides.
    Raises `BadInputError` of one line if samples, labels, loss or metric do not fit each other and the network.
    """
    trained = model.weights is not None or model.keras_file is not None
    network = base_model(model, None) if trained else _initial_network(model)
    output, metric = metric_of_output(model.metric, output)
    train, test = (data.arranged(network.input_names, network.output_names) for data in (train, test))
    for split, data in (("training", train), ("test", test)):
        check_samples(network, data)
        _check_values(split, data)
    takes_all = takes_all_outputs(metric)
    found = interface(network.input_names, network.output_names, test, output, takes_all=takes_all)
    few = train.sample(_SAMPLES, model.recipe.seed)
    outputs = _run(network, few)
    if not all(np.isfinite(array).all() for array in outputs):
        raise BadInputError("the network's outputs are not finite on training samples: look at its weights")
    task = _task(model, metric, network, test, found, found.metric([np.asarray(array) for array in outputs]))
    if not trained:  # else a technique checks the labels before it trains, and ptq needs no loss
        _probe_loss(network, model, train, few, outputs)
    if task.own is not None:
        x = found.samples(test.x) if task.takes_inputs else None
        _probe_metric(task, found.metric(predict(network, test, progress)), found.metric(test.y), x)
    return CheckedData(task, found)


def _task(
    model: Model, metric: ModelMetric | None, network: Any, test: Samples, found: Interface, outputs: ArrayOrTuple
) -> LearningTask:
    """Finds the task of the output that `metric` is of, or of what it makes of all; `outputs` are of some samples."""
    place = found.output or 0
    losses = output_losses(network, test, model.loss, model.loss_weights)
    several = len(found.outputs) > 1
    name = found.outputs[place] if several and found.output is not None else ""
    labels = labels_of_metric(metric, found.metric(test.y), decoded_shape(metric, outputs), output=name)
    inputs = test.inputs.arrays[0].shape[1:] if len(found.inputs) == 1 else ()
    return learning_task(metric, labels, losses.kind(place), inputs, _activation(network, place))


def _check_values(split: str, data: Samples) -> None:
    """Raises `BadInputError` for samples that are not finite, or all equal."""
    names = data.inputs.names if len(data.inputs.names) > 1 else ("",)
    for number, (name, array) in enumerate(zip(names, data.inputs.arrays, strict=True)):
        of = f" of {name}" if name else ""
        first, equal, start = array[:1], len(data) > 1, 0
        for part in data.chunks():
            values = part.x[number]
            if not np.isfinite(values).all():
                raise BadInputError(not_finite(values, f"{split} samples{of}", start))
            equal = equal and bool((values == first).all())
            start += len(part)
        if equal:
            line = f"all {len(data)} {split} samples{of} are equal: no range can be calibrated with them"
            raise BadInputError(line)


def _initial_network(model: Model) -> Any:
    """Returns the network with the weights that training begins with."""
    with seeded(model.recipe.seed):
        network = build_network(model)
    check_network(network)
    return network


def _run(network: Any, samples: Samples) -> tuple[Any, ...]:
    """Returns the outputs (n, ...); raises `BadInputError` if TensorFlow cannot run the network on this machine."""
    try:
        with quiet():
            return as_outputs(network(as_inputs(network, samples.x), training=False))
    except Exception as error:
        shapes = ", ".join(str(array.shape[1:]) for array in samples.inputs.arrays)
        message = f"the network does not run on samples of shape {shapes}: {type(error).__name__}"
        raise BadInputError(f"{message}: {first_cause(error)}") from error


def _activation(network: Any, place: int) -> str:
    """Name of the activation at an output, empty if there is none or it is not known."""
    layer = network.outputs[place]._keras_history.layer
    while True:
        if getattr(layer, "outputs", None):  # a model inside the model
            layer = layer.outputs[0]._keras_history.layer
        elif type(layer).__name__ in _SAME_VALUES:
            layer = layer.input._keras_history.layer
        else:
            break
    called = getattr(layer, "symbol", None) or getattr(getattr(layer, "activation", None), "__name__", "")
    return str(called or type(layer).__name__).rpartition(".")[2].lower()


def _probe_loss(network: Any, model: Model, train: Samples, few: Samples, outputs: Sequence[Any]) -> None:
    """Raises `BadInputError` if labels do not fit the loss, or the loss of a few samples is no finite number.

    `outputs` are those of the samples `few`.
    """
    tf, losses = import_tensorflow(), output_losses(network, train, model.loss, model.loss_weights)
    losses.check(train)
    labels, of_loss = losses.labels(few.y), [place for place, loss in enumerate(losses.losses) if loss is not None]
    several = len(losses.names) > 1
    line = "; ".join(
        str(
            Labels(train.labels.arrays[place], losses.shapes[place], "training", losses.names[place] if several else "")
        )
        for place in of_loss
    )
    name = ", ".join(losses.kind(place).name for place in of_loss)
    try:
        with quiet():
            network.compile(loss=losses.losses if several else losses.losses[0])
            given = [tf.constant(array) for array in labels]
            value = float(network.compute_loss(None, *((given, list(outputs)) if several else (given[0], outputs[0]))))
    except Exception as error:
        raise BadInputError(f"the loss {name} fails: {line}: {type(error).__name__}: {first_cause(error)}") from error
    if not np.isfinite(value):
        raise BadInputError(f"the loss {name} is {value} before training: {line}")


def _probe_metric(task: LearningTask, outputs: ArrayOrTuple, labels: ArrayOrTuple, x: ArrayOrTuple | None) -> None:
    """Raises `BadInputError` if the user's metric gives no finite number, neither for `outputs` nor for random ones.

    One that fails on an untrained network alone, which may put all samples into one class, may well be right.
    """
    rows = mapped(_drawn, outputs)
    try:
        finite_score(task, outputs, labels, x, "network before training")
    except BadInputError as error:
        try:
            finite_score(task, rows, labels, x, "random outputs")
        except BadInputError:
            raise error from None


def _drawn(outputs: Array) -> Array:
    """Returns random outputs of the same shape, whose rows add up to 1."""
    draw: Array = np.asarray(np.random.default_rng(0).random(outputs.shape), np.float32)
    whole: Array = draw / draw.sum(axis=-1, keepdims=True) if outputs.ndim > 1 and outputs.shape[-1] > 1 else draw
    return whole
