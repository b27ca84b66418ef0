"""Folding of batch normalization and plain ReLU into the layer before, the arithmetic that the NPU runs anyway.

    folded = fold(base)              # Conv2D -> BatchNormalization -> ReLU becomes Conv2D(activation="relu")

Pruning and clustering then see the kernels that the int8 file will hold.  Folded after clustering, each channel of a
clustered kernel is multiplied by its own factor, and 16 values become thousands.  Folding is
exact up to float rounding, and checked: on random inputs the outputs of each folded layer, and of the whole model,
change by at most 1e-5 of the largest output.

Layers that take a fold: Conv1D, Conv2D, Conv2DTranspose, DepthwiseConv2D, Dense, where nothing else reads the layer and
no activation stands between.  A SeparableConv2D is split into its depthwise and its pointwise half, which can be pruned
and clustered.  Batch normalization anywhere else stays, and `npu_rules.step_notes` reports it.  Last, the ranges of the
channels are equalized (`equalize`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.equalization import equalize
from hil.harness.optimize.keras.flat_graph import (
    LayerCopies,
    check_equal,
    compare,
    flatten_model,
    random_inputs,
    replay,
)
from hil.harness.optimize.keras.keras2 import import_keras, quiet
from hil.harness.optimize.layers import weight_name

FOLDABLE = ("Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense")
_CHANNELS = {"Conv2DTranspose": (2,), "DepthwiseConv2D": (2, 3)}
"""Kernel axes of the output channels; of all other layers it is the last axis."""


@dataclass(frozen=True)
class Fold:
    """A layer, with the batch normalization and the ReLU to fold into it (None = the layer has none)."""

    layer: Any
    norm: Any
    relu: Any


def fold(model: Any) -> Any:
    """Returns a flat copy of `model`, folded and equalized.

    Raises `OptimizeError` naming the layer whose output would change.
    """
    with quiet():
        split = _without_separable(flatten_model(model))
        folds = {id(found.layer): found for layer in split.layers if (found := _fold_of(layer, split)) is not None}
        gone = {id(part) for found in folds.values() for part in (found.norm, found.relu) if part is not None}
        copies = LayerCopies(lambda layer, config: _changed(folds.get(id(layer)), config))

        def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
            return arguments[0] if id(layer) in gone else copies(layer, name, arguments, keywords)

        folded = replay(split, call)
        copies.fill()
        for found in folds.values():
            _fill(found, copies.of(found.layer, found.layer.name))
        _prove(split, copies, list(folds.values()))
        equalize(folded)
    compare(model, folded, random_inputs(model), f"the model {model.name}, folded")
    return folded


def _fold_of(layer: Any, model: Any) -> Fold | None:
    """Finds the batch normalization and the ReLU that can be folded into a layer; None if there are none."""
    if type(layer).__name__ not in FOLDABLE or layer.get_config()["activation"] != "linear":
        return None
    norm = _only_reader(layer, model)
    if type(norm).__name__ != "BatchNormalization" or not _last_axis(norm):
        norm = None
    relu = _only_reader(norm or layer, model)
    if not _plain_relu(relu):
        relu = None
    return Fold(layer, norm, relu) if norm is not None or relu is not None else None


def _only_reader(layer: Any, model: Any) -> Any:
    """Returns the only consumer of the layer's output; None if it has several or is an output of the model."""
    if (
        len(layer._inbound_nodes) != 1
        or len(layer._outbound_nodes) != 1
        or any(layer.output is x for x in model.outputs)
    ):
        return None
    reader = layer._outbound_nodes[0].layer
    return reader if len(reader._inbound_nodes) == 1 else None


def _last_axis(norm: Any) -> bool:
    axes = norm.axis if isinstance(norm.axis, list | tuple) else [norm.axis]
    return [axis % len(norm.input_shape) for axis in axes] == [len(norm.input_shape) - 1]


def _plain_relu(layer: Any) -> bool:
    if type(layer).__name__ == "Activation":
        return bool(layer.get_config()["activation"] == "relu")
    if type(layer).__name__ != "ReLU":
        return False
    config = layer.get_config()
    return config["max_value"] is None and not config["negative_slope"] and not config["threshold"]


def _changed(found: Fold | None, config: dict[str, Any]) -> dict[str, Any]:
    if found is None:
        return config
    return config | ({"use_bias": True} if found.norm else {}) | ({"activation": "relu"} if found.relu else {})


def _fill(found: Fold, copy: Any) -> None:
    """Sets the folded weights: y = (conv(x) + b - mean) * scale + beta, scale = gamma / sqrt(variance + epsilon)."""
    if found.norm is None:
        return
    norm = {weight_name(v): v.numpy().astype(np.float64) for v in found.norm.weights}
    scale = norm.get("gamma", 1.0) / np.sqrt(norm["moving_variance"] + found.norm.epsilon)
    kernel, *bias = found.layer.get_weights()
    offset = ((bias[0] if bias else 0.0) - norm["moving_mean"]) * scale + norm.get("beta", 0.0)
    axes = _CHANNELS.get(type(found.layer).__name__, (kernel.ndim - 1,))
    shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    copy.set_weights([(kernel * scale.reshape(shape)).astype(np.float32), offset.astype(np.float32)])


def _prove(split: Any, copies: LayerCopies, folds: list[Fold]) -> None:
    """Compares each folded layer with the layer, batch normalization and ReLU that it replaces, on the same input."""
    if not folds:
        return
    ends = [found.relu or found.norm for found in folds]
    inputs = random_inputs(split)
    probe = import_keras().Model(split.inputs, [*(found.layer.input for found in folds), *(end.output for end in ends)])
    values: list[Array] = [np.asarray(x) for x in probe(inputs if len(inputs) > 1 else inputs[0], training=False)]
    for place, found in enumerate(folds):
        given = copies.of(found.layer, found.layer.name)(values[place])
        check_equal(values[len(folds) + place], np.asarray(given), f"layer {found.layer.name}, folded")


def _without_separable(model: Any) -> Any:
    """Splits each SeparableConv2D into a DepthwiseConv2D (NAME_depthwise) and a 1x1 Conv2D (NAME), in a copy."""
    separable = [layer for layer in model.layers if type(layer).__name__ == "SeparableConv2D"]
    if not separable:
        return model
    halves = {id(layer): _halves(layer) for layer in separable}
    copies = LayerCopies()

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if id(layer) not in halves:
            return copies(layer, name, arguments, keywords)
        depthwise, pointwise = halves[id(layer)]
        return pointwise(depthwise(arguments[0]))

    made = replay(model, call)
    copies.fill()
    for layer in separable:
        values = {weight_name(v): v.numpy() for v in layer.weights}
        depthwise, pointwise = halves[id(layer)]
        depthwise.set_weights([values["depthwise_kernel"]])
        pointwise.set_weights([values["pointwise_kernel"], *([values["bias"]] if layer.use_bias else [])])
    compare(model, made, random_inputs(model), f"the model {model.name}, its separable layers split")
    return made


def _halves(layer: Any) -> tuple[Any, Any]:
    layers, config = import_keras().layers, layer.get_config()
    shared = {key: config[key] for key in ("strides", "padding", "dilation_rate", "depth_multiplier", "kernel_size")}
    depthwise = layers.DepthwiseConv2D(**shared, use_bias=False, name=f"{layer.name}_depthwise")
    pointwise = layers.Conv2D(
        layer.filters, 1, use_bias=layer.use_bias, activation=config["activation"], name=layer.name
    )
    return depthwise, pointwise
