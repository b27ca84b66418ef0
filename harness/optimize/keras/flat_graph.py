"""Flattening of nested models: a nested model is replaced by its layers, with their weights, and outputs are compared.

    network = flat_model(model, "prune")                 # TFMOT takes no nested models
    network = replay(model, lambda layer, *given: ...)   # the same calls of layers, some of them changed

A shared layer, or a layer of a shared model, stays one layer.  A duplicate name gets the name of the enclosing model in
front.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import OptimizeError
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, quiet

LayerCall = Callable[[Any, str, list[Any], dict[str, Any]], Any]
"""Called with (layer, its name in the flat model, arguments, keyword arguments); returns the layer's output."""
TOLERANCE = 1e-5
SAMPLES = 4
ANY_SIZE = 32
"""Size of a dynamic dimension in random inputs."""


def flat_model(model: Any, technique: str) -> Any:
    """Returns the model if it is flat, else a flat copy; raises `OptimizeError` for a layer that wraps a model."""
    flat = flatten_model(model) if any(hasattr(layer, "layers") for layer in model.layers) else model
    for layer in flat.layers:
        if hasattr(getattr(layer, "layer", None), "layers"):
            raise OptimizeError(
                f"{technique}: {layer.name} is a model inside the model",
                hint="call its layers one by one in build, so that there is one flat model",
            )
    return flat


def flatten_model(model: Any) -> Any:
    """Returns a flat copy of a functional or sequential model; raises `OptimizeError` if its outputs differ."""
    copies = LayerCopies()
    with quiet():
        made = replay(model, copies)
        copies.fill()
    compare(model, made, random_inputs(model), f"the model {model.name}, made flat")
    return made


class LayerCopies:
    """Layer call that copies every layer; `change` maps (layer, configuration) to the copy's configuration."""

    def __init__(self, change: Callable[[Any, dict[str, Any]], dict[str, Any]] = lambda _, config: config) -> None:
        self._change = change
        self.made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        return self.of(layer, name)(*arguments, **keywords)

    def of(self, layer: Any, name: str) -> Any:
        """Returns the copy of a layer, created at the first call."""
        if id(layer) not in self.made:
            config = self._change(layer, {**layer.get_config(), "name": name})
            self.made[id(layer)] = layer, type(layer).from_config(config)
        return self.made[id(layer)][1]

    def fill(self) -> None:
        """Copies the weights."""
        for layer, copy in self.made.values():
            if len(copy.weights) == len(layer.weights):
                copy.set_weights(layer.get_weights())


def replay(model: Any, call: LayerCall) -> Any:
    """Builds a model by calling `call` for each call of a layer in `model`, in order."""
    keras = import_keras()
    if not getattr(model, "_is_graph_network", False):
        raise OptimizeError(f"the model {model.name} has no graph", hint="build a functional or sequential model")
    inputs = [
        keras.Input(x.shape[1:], batch_size=x.shape[0], dtype=x.dtype, name=x.node.layer.name) for x in model.inputs
    ]
    names = _Names({x.node.layer.name for x in model.inputs})
    outputs = _through(model, inputs, call, _Around(names))
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=model.name)


class _Names:
    """Unique names of layers."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._of: dict[int, str] = {}

    def of(self, layer: Any, around: str) -> str:
        if id(layer) not in self._of:
            choices: Iterator[str] = iter((layer.name, f"{around}{layer.name}"))
            name = next((name for name in choices if name not in self._taken), "")
            number = 1
            while not name or name in self._taken:
                number += 1
                name = f"{around}{layer.name}_{number}"
            self._taken.add(name)
            self._of[id(layer)] = name
        return self._of[id(layer)]


@dataclass(frozen=True)
class _Around:
    """Place of a layer: names in use, prefix for names, and `training` if the model inside is called with it."""

    names: _Names
    prefix: str = ""
    training: Any = None

    def inside(self, model: Any, training: Any) -> _Around:
        """The surroundings of the layers of a nested model."""
        training = self.training if training is None else training
        return _Around(self.names, f"{self.prefix}{model.name}_", training)


def _through(model: Any, inputs: Sequence[Any], call: LayerCall, around: _Around) -> list[Any]:
    """Calls the layers of a model one by one, those of a nested model in its place; returns the outputs."""
    nest = import_tensorflow().nest
    uses = model._tensor_usage_count
    values = {str(id(x)): [given] * uses[str(id(x))] for x, given in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            arguments, keywords = node.map_arguments(values)
            given = _called(node.layer, list(arguments), keywords, call, around)
            for key, value in zip(node.flat_output_ids, nest.flatten(given), strict=True):
                values[key] = [value] * uses[key]
    return [values[str(id(x))].pop() for x in model.outputs]


def _called(layer: Any, arguments: list[Any], keywords: dict[str, Any], call: LayerCall, around: _Around) -> Any:
    if not hasattr(layer, "layers"):
        if hasattr(getattr(layer, "layer", None), "layers"):
            raise OptimizeError(
                f"{layer.name} repeats a model inside the model",
                hint="call its layers one by one in build, so that there is one flat model",
            )
        if around.training is not None and "training" in inspect.signature(layer.call).parameters:
            keywords = {"training": around.training} | {key: x for key, x in keywords.items() if x is not None}
        return call(layer, around.names.of(layer, around.prefix), arguments, keywords)
    tensors = import_tensorflow().nest.flatten(arguments)
    given = {key for key, value in keywords.items() if value is not None}
    if given - {"training"} or len(tensors) != len(layer.inputs):
        raise OptimizeError(f"the model {layer.name} inside the model is not called with tensors alone")
    if not getattr(layer, "_is_graph_network", False):
        raise OptimizeError(
            f"the model {layer.name} inside the model has no graph", hint="build it of Keras' own layers"
        )
    outputs = _through(layer, tensors, call, around.inside(layer, keywords.get("training")))
    return outputs if len(outputs) > 1 else outputs[0]


def random_inputs(model: Any) -> list[Array]:
    """Returns normally distributed samples for each input of a model, always the same; zeros for an integer input."""
    random = np.random.default_rng(0)
    shapes = [
        (x.shape[0] or SAMPLES, *(ANY_SIZE if size is None else size for size in x.shape[1:])) for x in model.inputs
    ]
    drawn = [random.normal(size=shape) for shape in shapes]
    return [
        np.asarray(value if x.dtype.is_floating else 0 * value, x.dtype.as_numpy_dtype)
        for x, value in zip(model.inputs, drawn, strict=True)
    ]


def compare(expected: Any, given: Any, inputs: Sequence[Array], where: str) -> None:
    """Raises `OptimizeError` if two models have different outputs on `inputs`."""
    whole = list(inputs) if len(inputs) > 1 else inputs[0]
    nest = import_tensorflow().nest
    for wanted, found in zip(
        nest.flatten(expected(whole, training=False)), nest.flatten(given(whole, training=False)), strict=True
    ):
        check_equal(np.asarray(wanted), np.asarray(found), where)


def check_equal(wanted: Array, found: Array, where: str) -> None:
    """Raises `OptimizeError` unless two arrays agree within 1e-5 of the largest value (or of 1, if that is less)."""
    difference = float(np.max(np.abs(found.astype(np.float64) - wanted), initial=0.0))
    if not difference <= TOLERANCE * max(1.0, float(np.max(np.abs(wanted), initial=0.0))):  # NaN is no proof
        raise OptimizeError(f"{where}: on random inputs the output differs by {difference:.2g}")
