"""Separable convolutions as a depthwise and a pointwise convolution, which can be pruned and clustered."""

from __future__ import annotations

from typing import Any

from hil.harness.optimize.canonical.rewrite import Rewrite
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.layers import weight_name

_SHARED = ("strides", "padding", "dilation_rate", "depth_multiplier", "kernel_size", "trainable")


def without_separable(model: Any) -> Any:
    """Splits each SeparableConv2D into a DepthwiseConv2D (NAME_depthwise) and a 1x1 Conv2D (NAME), in a copy."""
    if not any(type(layer).__name__ == "SeparableConv2D" for layer in model.layers):
        return model
    rewrite, layers = Rewrite(model), import_keras().layers

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if type(layer).__name__ != "SeparableConv2D":
            return rewrite.copy(layer, name, arguments, keywords)
        config, values = layer.get_config(), {weight_name(v): v.numpy() for v in layer.weights}
        first = {**{key: config[key] for key in _SHARED}, "use_bias": False}
        second = {key: config[key] for key in ("filters", "use_bias", "activation", "trainable")} | {"kernel_size": 1}
        bias = [values["bias"]] if layer.use_bias else []
        depthwise = rewrite.new(layers.DepthwiseConv2D, f"{name}_depthwise", first, [values["depthwise_kernel"]])
        pointwise = rewrite.instead(layer, layers.Conv2D, second, [values["pointwise_kernel"], *bias])
        return pointwise(depthwise(arguments[0]))

    return rewrite.network(call)
