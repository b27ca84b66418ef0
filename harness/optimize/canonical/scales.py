"""Constant scales and offsets of channels as depthwise convolutions of 1x1, which TFMOT and the NPU have.

    made = with_depthwise_scales(model)

| layer | becomes |
|---|---|
| `Rescaling`, `Normalization` | a frozen depthwise convolution: the fine-tuning leaves it as it is |
| `Average` | `Add`, and such a scale |
| `BatchNormalization` that belongs to no convolution | it, behind a depthwise convolution of ones |

Vectors (n, channels) and sequences (n, steps, channels) are reshaped around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.canonical.rewrite import Rewrite, only_reader, output_shape
from hil.harness.optimize.keras.keras2 import import_keras

WITH_NORM = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense")
"""Layers to which the batch normalization belongs that is their only reader, at each of their calls."""


def with_depthwise_scales(model: Any) -> Any:
    """Returns the model with its scales as depthwise convolutions; the model itself if it has none."""
    if not any(_scale_of(layer) is not None or _is_average(layer) or _alone(layer, model) for layer in model.layers):
        return model
    rewrite = Rewrite(model)

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        found = _scale_of(layer)
        if found is not None:
            return _scaled(rewrite, layer, arguments[0], *found)
        if _is_average(layer):
            added = rewrite.new(import_keras().layers.Add, f"{name}_sum", {})(arguments[0])
            return _scaled(rewrite, layer, added, np.float32(1 / len(arguments[0])), np.float32(0))
        if _alone(layer, model):
            return _normalized(rewrite, layer, arguments[0])
        return rewrite.copy(layer, name, arguments, keywords)

    return rewrite.network(call)


def is_constant_scale(layer: Any) -> bool:
    """Returns whether a layer is a frozen depthwise convolution of 1x1."""
    kernel = getattr(layer, "kernel_size", ())
    return type(layer).__name__ == "DepthwiseConv2D" and not layer.trainable and tuple(kernel) == (1, 1)


def _scaled(rewrite: Rewrite, layer: Any, x: Any, scale: Array | np.float32, offset: Array | np.float32) -> Any:
    channels = int(x.shape[-1])
    kernel, bias = (np.broadcast_to(value, (channels,)).astype(np.float32) for value in (scale, offset))
    config = {"kernel_size": 1, "use_bias": bool(bias.any()), "trainable": False}
    weights = [kernel.reshape(1, 1, channels, 1), *([bias] if bias.any() else [])]
    made = rewrite.instead(layer, import_keras().layers.DepthwiseConv2D, config, weights)
    return _lowered(rewrite, made(_raised(rewrite, x, layer.name)), x, layer.name)


def _normalized(rewrite: Rewrite, norm: Any, x: Any) -> Any:
    channels = int(x.shape[-1])
    ones = [np.ones((1, 1, channels, 1), np.float32)]
    config = {"kernel_size": 1, "use_bias": False}
    made = rewrite.new(import_keras().layers.DepthwiseConv2D, f"{norm.name}_depthwise", config, ones)
    config = {**norm.get_config(), "axis": -1}
    after = rewrite.instead(norm, type(norm), config, norm.get_weights())
    return _lowered(rewrite, after(made(_raised(rewrite, x, norm.name))), x, norm.name)


def _raised(rewrite: Rewrite, x: Any, name: str) -> Any:
    shape = tuple(x.shape[1:])
    return x if len(shape) == 3 else rewrite.reshaped(x, (*(1,) * (3 - len(shape)), *shape), f"{name}_plane")


def _lowered(rewrite: Rewrite, made: Any, x: Any, name: str) -> Any:
    shape = tuple(x.shape[1:])
    return made if len(shape) == 3 else rewrite.reshaped(made, shape, f"{name}_line")


def _scale_of(layer: Any) -> tuple[Array | np.float32, Array | np.float32] | None:
    """Returns (scale, offset), each one value or (channels,), of a Rescaling or Normalization; None for others."""
    kind = type(layer).__name__
    if kind not in ("Rescaling", "Normalization") or not _has_channels(layer):
        return None
    if kind == "Rescaling":
        scale, offset = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    else:
        mean, variance = np.asarray(layer.mean, np.float64), np.asarray(layer.variance, np.float64)
        deviation = np.maximum(np.sqrt(variance), import_keras().backend.epsilon())
        inverted = getattr(layer, "invert", False)
        scale, offset = (deviation, mean) if inverted else (1 / deviation, -mean / deviation)
    if any(value.size not in (1, value.shape[-1] if value.ndim else 1) for value in (scale, offset)):
        return None
    return scale.reshape(-1), offset.reshape(-1)


def _is_average(layer: Any) -> bool:
    return type(layer).__name__ == "Average" and _has_channels(layer)


def _has_channels(layer: Any) -> bool:
    shape = output_shape(layer)
    return 2 <= len(shape) <= 4 and None not in shape[1:]


def _alone(norm: Any, model: Any) -> bool:
    """Returns whether batch normalization follows no layer to which it belongs."""
    if type(norm).__name__ != "BatchNormalization" or not _has_channels(norm):
        return False
    rank = len(norm.get_input_shape_at(0))
    before = norm._inbound_nodes[0].inbound_layers
    owned = (
        type(before).__name__ in WITH_NORM
        and before.get_config()["activation"] == "linear"
        and only_reader(before, model) is norm
    )
    return [axis % rank for axis in np.atleast_1d(norm.axis)] == [rank - 1] and not owned
