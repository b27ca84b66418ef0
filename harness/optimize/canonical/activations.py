"""Activations in forms that TFMOT can quantize.

    made = with_plain_activations(model)

| activation | becomes |
|---|---|
| of a layer, and none that TFMOT fuses (`elu`, `swish`, `relu6`, ...) | a layer of its own behind it |
| `relu6`, `leaky_relu` as functions | `ReLU(6)`, `LeakyReLU` |
| `hard_sigmoid` of Keras 2 | `Rescaling`, `ReLU(6)`, `Rescaling` |
| `ReLU(max_value=m)` | `Rescaling(6 / m)`, `ReLU(6)`, `Rescaling(m / 6)` |
| `ReLU(negative_slope=a)` | `LeakyReLU` |
"""

from __future__ import annotations

from typing import Any

from hil.harness.optimize.canonical.rewrite import Rewrite
from hil.harness.optimize.keras.keras2 import import_keras

FUSED = ("linear", "relu", "softmax", "sigmoid", "tanh", "gelu")
"""Activations that TFMOT quantizes inside a layer."""
_OWNERS = ("Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv1D", "DepthwiseConv2D")
_SPLIT = (*_OWNERS, "SeparableConv1D", "SeparableConv2D")


def with_plain_activations(model: Any) -> Any:
    """Returns the model with its activations in those forms; the model itself if they are already."""
    if not any(_is_split(layer) or _is_replaced(layer) for layer in model.layers):
        return model
    rewrite = Rewrite(model)

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if _is_split(layer):
            linear = rewrite.instead(
                layer, type(layer), {**layer.get_config(), "activation": "linear"}, layer.get_weights()
            )
            return _activated(rewrite, layer, f"{name}_{_name(layer)}", linear(*arguments, **keywords))
        if _is_replaced(layer):
            return _activated(rewrite, layer, name, arguments[0])
        return rewrite.copy(layer, name, arguments, keywords)

    return rewrite.network(call)


def activation_name(layer: Any) -> str:
    """Returns the name of a layer's activation function; empty for a layer without one, or with a layer as one."""
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


_name = activation_name


def _is_split(layer: Any) -> bool:
    return type(layer).__name__ in _SPLIT and _name(layer) not in FUSED


def _is_replaced(layer: Any) -> bool:
    if type(layer).__name__ == "Activation":
        return _name(layer) in ("relu6", "leaky_relu", "hard_sigmoid")
    if type(layer).__name__ != "ReLU" or layer.threshold:
        return False
    return bool(layer.negative_slope) if layer.max_value is None else layer.max_value != 6 and not layer.negative_slope


def _activated(rewrite: Rewrite, layer: Any, name: str, x: Any) -> Any:
    """Calls the layers that a layer's activation becomes; the last one has the name."""
    layers, kind = import_keras().layers, _name(layer)
    owns = type(layer).__name__ in _SPLIT

    def last(made: type[Any], config: dict[str, Any]) -> Any:
        return rewrite.new(made, name, config) if owns else rewrite.instead(layer, made, config)

    def between(scale: float, offset: float, after: float) -> Any:
        first = rewrite.new(layers.Rescaling, f"{name}_scale", {"scale": scale, "offset": offset})
        relu = rewrite.new(layers.ReLU, f"{name}_relu6", {"max_value": 6.0})
        return last(layers.Rescaling, {"scale": after, "offset": 0.0})(relu(first(x)))

    if type(layer).__name__ == "ReLU":
        if layer.max_value is None:
            return last(layers.LeakyReLU, {"alpha": float(layer.negative_slope)})(x)
        return between(6 / float(layer.max_value), 0.0, float(layer.max_value) / 6)
    if kind == "relu6":
        return last(layers.ReLU, {"max_value": 6.0})(x)
    if kind == "leaky_relu":
        return last(layers.LeakyReLU, {"alpha": 0.2})(x)
    if kind == "hard_sigmoid":  # 0.2 x + 0.5, from 0 to 1
        return between(1.2, 3.0, 1 / 6)
    if isinstance(layer.activation, layers.Layer):
        return rewrite.new(type(layer.activation), name, layer.activation.get_config(), layer.activation.get_weights())(
            x
        )
    return last(layers.Activation, {"activation": layer.activation})(x)
