"""Folding of batch normalization and plain ReLU into the layer before, the arithmetic that the NPU runs anyway.

    folded = fold(base)              # Conv2D -> BatchNormalization -> ReLU becomes Conv2D(activation="relu")

Pruning and clustering then see the kernels that the int8 file will hold.  Folded after clustering, each channel of a
clustered kernel is multiplied by its own factor, and 16 values become thousands.  Folding is
exact up to float rounding, and checked: on random inputs the outputs of each folded layer, and of the whole model,
change by at most 1e-5 of the largest output.

Layers that take a fold: Conv2D, Conv2DTranspose, DepthwiseConv2D, Dense, where nothing else reads the layer and no
activation stands between; the canonical form gives batch normalization anywhere else such a layer.  What stays,
`npu_rules.step_notes` reports.  Last, the ranges of the channels are equalized (`equalize`).

Before quantization-aware training and clustering with TFMOT, the batch normalization of dense and transposed layers is
folded as well (`fold_where_unquantized`): TFMOT quantizes it behind the other convolutions alone, and nowhere behind a
layer that is called several times.  After clustering it is too late, since the factors of the channels make many
weights of few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.optimize.canonical.network import canonical_network
from hil.harness.optimize.canonical.rewrite import only_reader
from hil.harness.optimize.equalization import equalize
from hil.harness.optimize.keras.flat_graph import (
    LayerCopies,
    check_equal,
    compare,
    random_inputs,
    replay,
)
from hil.harness.optimize.keras.keras2 import import_keras, quiet
from hil.harness.optimize.layers import weight_name

FOLDABLE = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense")
UNQUANTIZED_NORM = ("Conv2DTranspose", "Dense")
"""Layers whose batch normalization TFMOT 0.8.1 and the converter leave in float."""
_CHANNELS = {"Conv2DTranspose": (2,), "DepthwiseConv2D": (2, 3)}
"""Kernel axes of the output channels; of all other layers it is the last axis."""


@dataclass(frozen=True)
class Fold:
    """A layer, with the batch normalization and the ReLU to fold into it (None = the layer has none)."""

    layer: Any
    norm: Any
    relu: Any


def fold(model: Any) -> Any:
    """Returns a flat copy of `model` in its canonical form, folded and equalized.

    Raises `OptimizeError` naming the layer whose output would change.
    """
    with quiet():
        canonical = canonical_network(model, "fold")
        folded = _folded(canonical, [found for layer in canonical.layers if (found := _fold_of(layer, canonical))])
        equalize(folded)
    compare(model, folded, random_inputs(model), f"the model {model.name}, folded")
    return folded


def fold_where_unquantized(model: Any) -> Any:
    """Folds batch normalization into layers for which TFMOT would leave it in float; the model itself without any."""
    folds = [found for layer in model.layers if (found := _fold_of(layer, model))]
    wanted = [found for found in folds if found.norm is not None and _leaves_norm(found.layer)]
    return _folded(model, wanted) if wanted else model


def _leaves_norm(layer: Any) -> bool:
    """Returns whether TFMOT refuses batch normalization behind a layer, or leaves it in float there."""
    return type(layer).__name__ in UNQUANTIZED_NORM or len(layer._inbound_nodes) > 1


def _folded(model: Any, found: list[Fold]) -> Any:
    """Returns a copy of a flat model with the folds, each proven on random inputs."""
    folds = {id(fold.layer): fold for fold in found}
    gone = {id(part) for fold in found for part in (fold.norm, fold.relu) if part is not None}
    copies = LayerCopies(lambda layer, config: _changed(folds.get(id(layer)), config))

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        return arguments[0] if id(layer) in gone else copies(layer, name, arguments, keywords)

    with quiet():
        made = replay(model, call)
        copies.fill()
        for fold in found:
            _fill(fold, copies.of(fold.layer, fold.layer.name))
        _prove(model, copies, found)
    return made


def _fold_of(layer: Any, model: Any) -> Fold | None:
    """Finds the batch normalization and the ReLU that can be folded into a layer; None if there are none."""
    if type(layer).__name__ not in FOLDABLE or layer.get_config()["activation"] != "linear":
        return None
    norm = only_reader(layer, model)
    if type(norm).__name__ != "BatchNormalization" or not _last_axis(norm):
        norm = None
    relu = only_reader(norm or layer, model)
    if not _plain_relu(relu):
        relu = None
    return Fold(layer, norm, relu) if norm is not None or relu is not None else None


def _last_axis(norm: Any) -> bool:
    axes, rank = norm.axis if isinstance(norm.axis, list | tuple) else [norm.axis], len(norm.get_input_shape_at(0))
    return [axis % rank for axis in axes] == [rank - 1]


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
    inputs = random_inputs(split)
    probe = import_keras().Model(split.inputs, [found.layer.get_input_at(0) for found in folds])
    values = probe(inputs if len(inputs) > 1 else inputs[0], training=False)
    for value, found in zip(values if len(folds) > 1 else [values], folds, strict=True):
        wanted = found.layer(value)
        wanted = wanted if found.norm is None else found.norm(wanted, training=False)
        wanted = wanted if found.relu is None else found.relu(wanted)
        given = copies.of(found.layer, found.layer.name)(value)
        check_equal(np.asarray(wanted), np.asarray(given), f"layer {found.layer.name}, folded")
