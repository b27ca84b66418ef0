"""Rebuilding of a Keras 3 model under Keras 2, which TFMOT needs.

    import keras

    network = rebuild(keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3), ...]))

Functional and sequential models of the usual layers (`keras3_layers`) are rebuilt, layer by layer, with their weights;
nested models are flattened, because TFMOT takes none.  The result is compared with Keras 3: on random inputs the
outputs of each layer, and of the whole network, must agree within 1e-5 of the largest output (or of 1, if that is
less).  Any failure is an error that names the layer.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import HilError, OptimizeError, UnavailableError
from hil.harness.blame import first_cause
from hil.harness.optimize.keras.keras2 import import_keras, quiet
from hil.harness.optimize.keras.keras3_graph import (
    Entry,
    InputSpec,
    Path,
    entries,
    inputs_of,
    output_names,
    traverse,
)
from hil.harness.optimize.keras.keras3_layers import (
    AUGMENTATION,
    LEFT_OUT,
    MODELS,
    is_operation,
    label,
    layers_for,
    left_out_notes,
    refuse,
)
from hil.harness.optimize.keras.keras3_tracing import is_users_own, traced
from hil.harness.optimize.layers import weight_name

TOLERANCE = 1e-5
SAMPLES = 4
ANY_SIZE = 32
"""Size of a dynamic dimension in random inputs."""


@dataclass(frozen=True)
class RebuiltNetwork:
    """A rebuilt network, and its layers by their path in the Keras 3 model, in the order of the calls there."""

    network: Any
    layers: dict[Path, list[Any]]


def import_keras3() -> Any:
    """Imports Keras 3, which TensorFlow 2.16 and later install; raises `UnavailableError` if `keras` is not Keras 3."""
    if "keras" not in sys.modules:
        import_keras()  # so that the settings of TensorFlow's start hold
        try:
            with quiet():
                importlib.import_module("keras")
        except (ImportError, ValueError) as error:  # a backend that is not installed, or is none
            raise UnavailableError(f"Keras 3 cannot be imported: {error}", hint="pip install keras~=3.10") from None
    keras = sys.modules["keras"]
    if not keras.__version__.startswith("3."):
        raise UnavailableError(f"keras {keras.__version__} is not Keras 3", hint="pip install keras~=3.10")
    return keras


def is_keras3(value: Any) -> bool:
    """Returns whether `value` is a Keras 3 model, without importing Keras 3: its owner has imported it."""
    model = getattr(sys.modules.get("keras"), "Model", None)
    return model is not None and model is not import_keras().Model and isinstance(value, model)


def reset_layer_names() -> None:
    """Resets Keras 3's counters of unnamed layers, if Keras 3 was imported."""
    if utils := getattr(sys.modules.get("keras"), "utils", None):
        utils.clear_session(free_memory=False)  # a garbage collection costs half a second, and no name needs it


def rebuild(model: Any) -> Any:
    """Returns the Keras 3 `model` as a flat tf_keras model with the same weights and outputs.

    Raises `OptimizeError` naming a layer that cannot be rebuilt or computes another output.
    """
    if type(model).__name__ not in MODELS or is_users_own(model):
        refuse(f"the model {model.name}", f"{type(model).__name__} is a class of its own", "use a functional model")
    if not model.built or not getattr(model, "inputs", None):
        raise OptimizeError(f"the model {model.name} has no input", hint="let keras.Input be its first layer")
    with quiet():
        model = traced(model, import_keras3())
        entry = describe(model)
        built = construct(entry, lambda path: id(_operation_at(model, path)))
        for path, layers in built.layers.items():
            _copy_weights(_operation_at(model, path), layers, path)
        check_equivalence(model, entry, built)
    built.network.rebuilding_notes = tuple(left_out_notes(entries(entry)))
    return built.network


def rebuilding_notes(network: Any) -> list[str]:
    """Returns the remarks of `rebuild` on the layers of a network that it made; none for any other."""
    return [str(line) for line in getattr(network, "rebuilding_notes", ())]


def construct(entry: Entry, identity: Callable[[Path], Any] = tuple) -> RebuiltNetwork:
    """Builds a Keras 3 configuration under Keras 2, with initial weights; raises `OptimizeError` if it cannot.

    Paths of the same `identity` share a layer: one model may be nested in several others.
    """
    keras = import_keras()
    layers: dict[Path, list[Any]] = {}
    made: dict[Any, list[Any]] = {}
    specs = inputs_of(entry)
    taken = {spec.name for spec in specs}

    def call(path: Path, inner: Entry, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if identity(path) not in made or is_operation(inner):  # an operation has no weights to share
            name = next(name for name in _names(path) if name not in taken)
            made[identity(path)] = layers_for(inner, name, label(path))
            taken.update([name, *(layer.name for layer in made[identity(path)] if hasattr(layer, "name"))])
        layers[path] = made[identity(path)]
        try:
            return _applied(layers[path], inner, arguments, keywords, label(path))
        except HilError:
            raise
        except Exception as error:  # what does not fit shows in many ways
            return refuse(label(path), (str(error).strip().splitlines() or [""])[0])

    inputs = [keras.Input(spec.shape, name=spec.name, dtype=spec.dtype) for spec in specs]
    outputs = traverse(entry, inputs, call)
    if isinstance(outputs, list):
        outputs = [_output(x, name, taken) for x, name in zip(outputs, output_names(entry), strict=True)]
    return RebuiltNetwork(keras.Model(inputs, outputs, name=entry["config"]["name"]), layers)


def _output(x: Any, name: str, taken: set[str]) -> Any:
    """Gives the layer of an output the output's name in Keras 3, or puts one with this name behind it."""
    layer = x._keras_history.layer
    if layer.name == name or name in taken:
        return x
    taken.add(name)
    return import_keras().layers.Activation("linear", name=name)(x)


def _names(path: Path) -> list[str]:
    """Lists candidate names of a layer, its own first, in characters that TensorFlow takes."""
    own, joined = (re.sub(r"[^A-Za-z0-9_.]|^[_.]", "-", name) for name in (path[-1], "_".join(path)))
    return [own, joined, *(f"{joined}_{number}" for number in range(1, 10_000))]


def _applied(layers: Sequence[Any], entry: Entry, arguments: list[Any], keywords: dict[str, Any], where: str) -> Any:
    """Calls tf_keras layers one after another; `training` is passed only to a layer that has the argument."""
    if "training" not in inspect.signature(getattr(layers[0], "call", layers[0])).parameters:
        keywords = {key: value for key, value in keywords.items() if key != "training"}
    if entry["class_name"] in (*AUGMENTATION, *LEFT_OUT) and keywords.get("training"):  # their default
        keywords = {key: value for key, value in keywords.items() if key != "training"}
    if keywords.get("training"):
        refuse(where, "it is called with training=True, also when the model is used")
    x = layers[0](*arguments, **keywords)
    for layer in layers[1:]:
        x = layer(x)
    return x


def describe(model: Any) -> Entry:
    """Returns a Keras 3 model's configuration, with the learned mean and variance of a Normalization as settings."""
    config = model.get_config()
    for inner in config["layers"]:
        if inner["class_name"] in MODELS:
            inner["config"] = describe(_operation_at(model, [inner["config"]["name"]]))["config"]
        elif inner["class_name"] == "Normalization":
            learned = [_array(weight).tolist() for weight in _operation_at(model, [inner["config"]["name"]]).weights]
            inner["config"] |= dict(zip(("mean", "variance"), learned, strict=False))
    return {"class_name": type(model).__name__, "config": config}


def _operations(model: Any) -> list[Any]:
    """Lists the layers, and functions of `keras.ops`, of a Keras 3 model."""
    return list(model.layers if type(model).__name__ == "Sequential" else model.operations)


def _operation_at(model: Any, path: Sequence[str]) -> Any:
    for name in path:
        model = next(operation for operation in _operations(model) if operation.name == name)
    return model


def _copy_weights(source: Any, layers: Sequence[Any], path: Path) -> None:
    """Copies a layer's weights, whose order is the same in Keras 2 and 3; names and shapes must agree."""
    have = list(getattr(source, "weights", ()))
    if type(source).__name__ == "Normalization":  # Keras 2 gets its mean and variance as settings
        have = []
    want = getattr(layers[0], "weights", [])
    if len(have) != len(want):
        refuse(label(path), f"it has {len(have)} weights, in tf_keras {len(want)}")
    for old, new in zip(have, want, strict=True):
        name, shape = weight_name(new), tuple(new.shape)
        if tuple(old.shape) != shape or not name.endswith(old.name):
            refuse(label(path), f"its weight {old.name} {tuple(old.shape)} is {name} {shape} in tf_keras")
        new.assign(_array(old))


def _array(value: Any) -> Array:
    """Converts a variable or tensor of any Keras 3 backend to NumPy."""
    return np.asarray(import_keras3().ops.convert_to_numpy(value))


def check_equivalence(model: Any, entry: Entry, built: RebuiltNetwork) -> None:
    """Raises `OptimizeError` naming the first layer whose output differs from Keras 3's."""

    def call(path: Path, inner: Entry, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Calls one layer in both versions, on the outputs of Keras 3."""
        source = _operation_at(model, path)
        keywords = {**keywords, "training": False}
        given = _applied(built.layers[path], inner, arguments, keywords, label(path))
        if "training" not in inspect.signature(source.call).parameters:
            del keywords["training"]
        try:
            expected = source(*arguments, **keywords)
        except Exception as error:
            refuse(label(path), f"Keras 3 itself cannot call it: {first_cause(error)}")
        several = isinstance(expected, list | tuple)
        arrays = [_array(value) for value in (expected if several else [expected])]
        _compare(arrays, list(given) if several else [given], label(path))
        return arrays if several else arrays[0]

    inputs = _random_inputs(entry)
    traverse(entry, inputs, call)
    whole = inputs if len(inputs) > 1 else inputs[0]
    tree = import_keras3().tree
    structured = tree.pack_sequence_as(model.input, inputs) if _is_keyed(model) else whole
    expected, given = tree.flatten(model(structured, training=False)), built.network(whole, training=False)
    _compare([_array(value) for value in expected], given if len(expected) > 1 else [given], f"the model {model.name}")


def _is_keyed(model: Any) -> bool:
    return type(model).__name__ != "Sequential" and isinstance(model.input, dict)


def _random_inputs(entry: Entry) -> list[Array]:
    """Draws samples for every input: normally distributed, or integers within the range of every Embedding."""
    random = np.random.default_rng(0)
    words = [inner["config"]["input_dim"] for inner in entries(entry) if inner["class_name"] == "Embedding"]

    def draw(spec: InputSpec) -> Array:
        shape = (spec.batch or SAMPLES, *(ANY_SIZE if size is None else size for size in spec.shape))
        if words or "int" in spec.dtype:
            return random.integers(0, min([*words, 128]), shape).astype(spec.dtype)
        return random.normal(size=shape).astype(spec.dtype)

    return [draw(spec) for spec in inputs_of(entry)]


def _compare(expected: Sequence[Array], given: Sequence[Any], where: str) -> None:
    for wanted, value in zip(expected, given, strict=True):
        found = np.asarray(value)
        if found.shape != wanted.shape:
            refuse(where, f"its output has shape {wanted.shape}, in tf_keras {found.shape}")
        difference = float(np.max(np.abs(found.astype(np.float64) - wanted), initial=0.0))
        if not difference <= TOLERANCE * max(1.0, float(np.max(np.abs(wanted), initial=0.0))):  # NaN is no proof
            refuse(where, f"on random inputs its output differs by {difference:.2g} from Keras 3's")
