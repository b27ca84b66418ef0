"""Traversal of a Keras 3 model's graph, call by call; nested models are traversed too, which flattens them.

    outputs = traverse(entry, inputs, call)     # call(("block", "conv"), {...}, [x], {}) for a layer of a nested model

An entry is Keras' description of a layer or model: `class_name`, `config` and, in a functional model, `inbound_nodes`,
one for each call, whose tensors name their layer, call and output (`keras_history`).  `call` decides on the values:
symbolic tensors while a model is built, arrays while two are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hil.core.errors import OptimizeError
from hil.harness.optimize.keras.keras3_layers import MODELS, label, refuse

Entry = dict[str, Any]
Path = tuple[str, ...]
Call = Callable[[Path, Entry, list[Any], dict[str, Any]], Any]
"""Called with (names of the enclosing models and of the layer, entry, arguments, keyword arguments)."""
MAX_CALLS = 2_000
"""Limit of layer calls: nested models that are called repeatedly can multiply them without bound."""


@dataclass(frozen=True)
class InputSpec:
    """One input: its name, shape without the sample axis (None = any size), type, and number of samples if fixed."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    batch: int | None


def inputs_of(entry: Entry) -> list[InputSpec]:
    """Returns the inputs of a model, in order; raises `OptimizeError` for a model without an input shape."""
    config = entry["config"]
    if entry["class_name"] == "Sequential":
        first = config["layers"][:1]
        if first and first[0]["class_name"] == "InputLayer":
            return [_spec(first[0])]
        shape = config.get("build_input_shape")
        if not shape:
            raise OptimizeError(f"the model {config['name']} has no input", hint="let keras.Input be its first layer")
        return [InputSpec("image", tuple(shape[1:]), "float32", shape[0])]
    by_name = {inner["config"]["name"]: inner for inner in config["layers"]}
    given = config["input_layers"]
    found = [_spec(by_name[name]) for name, _, _ in _references(given)]
    return [replace(spec, name=key) for spec, key in zip(found, sorted(given), strict=True)] if _keyed(given) else found


def output_names(entry: Entry) -> list[str]:
    """Returns the names of a model's outputs, in order: keys of a dictionary, or names of the layers or models."""
    given = entry["config"]["output_layers"]
    return sorted(given) if _keyed(given) else [name for name, _, _ in _references(given)]


def _spec(entry: Entry) -> InputSpec:
    config = entry["config"]
    if config.get("sparse") or config.get("ragged") or config.get("optional"):
        refuse(label([config["name"]]), "it is a sparse, ragged or optional input")
    batch, *shape = config["batch_shape"]
    return InputSpec(config["name"], tuple(shape), config["dtype"], batch)


def entries(entry: Entry) -> Iterator[Entry]:
    """Iterates over every layer of a model and of its nested models."""
    for inner in entry["config"]["layers"]:
        yield inner
        if inner["class_name"] in MODELS:
            yield from entries(inner)


def traverse(entry: Entry, inputs: Sequence[Any], call: Call) -> Any:
    """Calls every layer in topological order; returns the model's output or list of outputs."""
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > MAX_CALLS:
            raise OptimizeError(f"the model has more than {MAX_CALLS} calls of layers")
        return call(*arguments)

    return _model(entry, inputs, counted, (), {})


def _model(entry: Entry, inputs: Sequence[Any], call: Call, path: Path, around: dict[str, Any]) -> Any:
    """Calls the layers of a model; `around` are keyword arguments that hold for all of them: `training`."""
    walker = _sequential if entry["class_name"] == "Sequential" else _functional
    return walker(entry["config"], inputs, call, path, around)


def _called(
    entry: Entry, arguments: list[Any], keywords: dict[str, Any], call: Call, path: Path, around: dict[str, Any]
) -> Any:
    here = (*path, str(entry["config"]["name"]))
    given = {key: value for key, value in {**keywords, **around}.items() if not _is_none(value)}
    if entry["class_name"] not in MODELS:
        return call(here, entry, arguments, given)
    flat = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else arguments
    if set(given) - {"training"} or len(flat) != len(inputs_of(entry)):
        refuse(label(here), "this model inside the model is not called with tensors alone")
    return _model(entry, flat, call, here, given)


def _is_none(value: Any) -> bool:
    """Returns whether an argument is None, or one None for each tensor, as the masks of a model's inputs are."""
    return value is None or (isinstance(value, list) and all(inner is None for inner in value))


def _sequential(config: dict[str, Any], inputs: Sequence[Any], call: Call, path: Path, around: dict[str, Any]) -> Any:
    (x,) = inputs
    for entry in config["layers"]:
        if entry["class_name"] != "InputLayer":
            x = _called(entry, [x], {}, call, path, around)
    return x


def _functional(config: dict[str, Any], inputs: Sequence[Any], call: Call, path: Path, around: dict[str, Any]) -> Any:
    values: dict[tuple[str, int], list[Any]] = {}
    for (name, node, _), value in zip(_references(config["input_layers"]), inputs, strict=True):
        values[name, node] = [value]
    waiting = [
        (inner, place, node) for inner in config["layers"] for place, node in enumerate(inner.get("inbound_nodes", ()))
    ]
    while waiting:
        later = []
        for inner, place, node in waiting:
            if all((name, at) in values for name, at, _ in _history(node)):
                arguments, keywords = _filled(node["args"], values), _filled(node["kwargs"], values)
                output = _called(inner, arguments, keywords, call, path, around)
                values[inner["config"]["name"], place] = list(output) if isinstance(output, list | tuple) else [output]
            else:
                later.append((inner, place, node))
        if len(later) == len(waiting):
            raise OptimizeError(f"{label([*path, later[0][0]['config']['name']])} gets a tensor that no layer gives")
        waiting = later
    models = {inner["config"]["name"] for inner in config["layers"] if inner["class_name"] == "Functional"}
    outputs = [
        values[name, node - (name in models)][tensor]  # Keras counts its own graph as a functional model's first call
        for name, node, tensor in _references(config["output_layers"])
    ]
    return outputs[0] if len(outputs) == 1 else outputs


def _references(value: Any) -> list[tuple[str, int, int]]:
    """Returns (layer, call, output) of a model's inputs or outputs: one reference, a list, or a dictionary by key.

    Keras takes a dictionary in the order of its sorted keys.
    """
    if _keyed(value):
        value = [value[key] for key in sorted(value)]
    alone = len(value) == 3 and isinstance(value[0], str)
    return [(str(layer), int(call), int(output)) for layer, call, output in ([value] if alone else value)]


def _keyed(value: Any) -> bool:
    return isinstance(value, dict)


CONSTANTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "__slice__": lambda config: slice(config["start"], config["stop"], config["step"]),
    "__ellipsis__": lambda _: ...,
    **dict.fromkeys(("__tensor__", "__numpy__"), lambda config: np.asarray(config["value"], config["dtype"])),
}
"""Class of a constant in the arguments of a call -> its value."""


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _history(value: Any) -> Iterator[tuple[str, int, int]]:
    """Iterates over (layer, call, output) of the tensors in a call's arguments."""
    if _is_tensor(value):
        layer, call, output = value["config"]["keras_history"]
        yield layer, call, output
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _history(inner)


def _filled(value: Any, values: dict[tuple[str, int], list[Any]]) -> Any:
    """Returns a call's arguments with each tensor reference replaced by its value, and constants as Python has them."""
    if _is_tensor(value):
        layer, call, output = value["config"]["keras_history"]
        return values[layer, call][output]
    if isinstance(value, dict) and value.get("class_name") in CONSTANTS:
        return CONSTANTS[value["class_name"]](value["config"])
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    return [_filled(inner, values) for inner in value] if isinstance(value, list | tuple) else value
