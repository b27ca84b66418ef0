"""Check of a network before anything trains: what no path of techniques can take, named by its layer.

    check_network(network)           # BadInputError: layer scale is of the class Scale ...

Refused are subclassed models, several inputs or outputs, dynamic shapes, inputs that are not float32, layers that hold
Python code or are of a class of the user's own that is not registered (no file that names it can be read back),
channels_first (no CPU trains it and TensorFlow Lite does not have it), Embedding of a float input (int8 holds no ids),
loops that crash TensorFlow's converter, and what TFMOT wrapped already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.blame import first_cause
from hil.harness.optimize.keras.any_format import WRAPPERS
from hil.harness.optimize.keras.hdf5_file import code_in
from hil.harness.optimize.keras.keras2 import import_keras, quiet
from hil.harness.optimize.keras.own_layers import is_registered, is_users_own

INPUT_TYPES = ("float32", "int32")
"""Types of inputs: real numbers, which are quantized, and whole ones, which stay what they are."""
_OWN_LAYERS = "build it of Keras' own layers"
_WITHOUT_LAMBDA = (
    f"{_OWN_LAYERS}, or call TensorFlow's functions, such as tf.split(x, 2, -1), on the tensors themselves"
)
_PACKAGES = ("keras", "tf_keras", "tensorflow_model_optimization")
_LOOPS = ("RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


def check_network(network: Any) -> None:
    """Raises `BadInputError`, with the layer's name, for a network that no path takes."""
    _check_graph(network)
    for layer in _layers(network):
        _check_layer(layer)
    _check_shapes(network)
    _check_file(network)


def _check_graph(network: Any) -> None:
    kind = type(network).__name__
    if kind == "Sequential" and not network.built:
        raise BadInputError("the network has no input shape", hint="begin it with Input(shape)")
    if not getattr(network, "_is_graph_network", False):
        raise BadInputError(
            f"the network is a subclassed model ({kind}), whose layers cannot be followed",
            hint="build a functional or sequential model of the same layers",
        )


def _layers(network: Any) -> Iterator[Any]:
    """Iterates over all layers, those of nested models and wrappers after the layer that holds them."""
    for layer in network.layers:
        yield layer
        inner = [layer] if hasattr(layer, "layers") else [getattr(layer, "layer", None), getattr(layer, "cell", None)]
        for part in inner:
            if hasattr(part, "layers"):
                yield from _layers(part)
            elif part is not None and hasattr(part, "get_config"):
                yield part


def _check_layer(layer: Any) -> None:
    kind, name = type(layer).__name__, layer.name
    if kind in WRAPPERS:
        raise BadInputError(f"layer {name} is TFMOT's {kind}", hint=WRAPPERS[kind])
    if kind == "Lambda":
        message = f"layer {name} is a Lambda: it holds Python code, which no file keeps"
        raise BadInputError(message, hint=_WITHOUT_LAMBDA)
    if is_users_own(layer) and not is_registered(layer):
        made = f"layer {name} is of the class {kind}, which is not registered: no file of the network can be read back"
        raise BadInputError(made, hint="@tf_keras.saving.register_keras_serializable() above the class registers it")
    activation = getattr(layer, "activation", None)
    owner = str(getattr(activation, "__module__", "")).split(".")[0]
    if callable(activation) and owner not in (*_PACKAGES, "tensorflow"):
        called = getattr(activation, "__name__", type(activation).__name__)
        message = f"layer {name} has the activation {called}, which is not Keras' own: no file of it can be read back"
        raise BadInputError(message, hint=_OWN_LAYERS)
    if getattr(layer, "data_format", None) == "channels_first":
        message = f"layer {name} has data_format channels_first, which TensorFlow Lite does not have"
        raise BadInputError(message, hint="channels_last, with the input transposed")
    if kind == "Embedding" and not _reads_whole_numbers(layer):
        message = f"layer {name} is an Embedding of a float32 input: a quantized input holds no ids of tokens"
        raise BadInputError(message, hint='give Input dtype="int32", or look the vectors up before the network')
    if kind in _LOOPS:
        message = f"layer {name} is a {kind}, on whose loop TensorFlow's converter crashes"
        raise BadInputError(message, hint="an LSTM or a GRU behind a convolution")
    policy = getattr(getattr(layer, "_dtype_policy", None), "compute_dtype", None) or "float32"
    if policy != "float32" and kind != "InputLayer" and layer.weights:
        raise BadInputError(f"layer {name} computes in {policy}", hint="float32 is what the converter quantizes")


def _reads_whole_numbers(layer: Any) -> bool:
    return bool(layer._inbound_nodes) and not layer.get_input_at(0).dtype.is_floating


def _check_shapes(network: Any) -> None:
    for given, name in zip(network.inputs, network.input_names, strict=True):
        shape, of = tuple(given.shape)[1:], f" {name}" if len(network.inputs) > 1 else ""
        if None in shape or not shape:
            hint = "give every axis of Input a size"
            raise BadInputError(f"the shape {shape} of the network's input{of} is not fixed", hint=hint)
        if given.dtype.name not in INPUT_TYPES:
            hint = f"the types of inputs are {', '.join(INPUT_TYPES)}"
            raise BadInputError(f"the network's input{of} is {given.dtype.name}", hint=hint)


def _check_file(network: Any) -> None:
    """Raises `BadInputError` if the structure holds code or cannot be read back, as all files of the store are."""
    try:
        with quiet():
            structure = network.to_json()
            carried = next(code_in(json.loads(structure)), None)
            if carried is None:
                import_keras().models.model_from_json(structure)
    except Exception as error:
        line = first_cause(error).partition(". Please ensure")[0][:200]
        message = f"the network cannot be written to a file and read back: {type(error).__name__}: {line}"
        raise BadInputError(message, hint=_OWN_LAYERS) from error
    if carried is not None and carried.startswith("TFOpLambda "):
        called = carried.removeprefix("TFOpLambda ")
        message = f"the network calls tf.{called}, which is not known to compute from its inputs alone"
        raise BadInputError(message, hint="leave out what training alone needs, such as random numbers")
    if carried is not None:
        raise BadInputError(f"the network holds code, which no file keeps ({carried})", hint=_OWN_LAYERS)
