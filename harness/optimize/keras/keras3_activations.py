"""Activations of Keras 3 as Keras 2 has them: by the same name, by another, or as layers behind a layer.

    named, after = activation_for("hard_silu", "conv")      # "linear", [x * relu6(x + 3) / 6]
    named, after = activation_for("silu", "conv")           # "swish", []

`hard_sigmoid` of Keras 3 is relu6(x + 3) / 6; that of Keras 2 is 0.2 x + 0.5, from 0 to 1 (source: both versions'
`activations`).  Of the layers for `hard_silu`, also called `hard_swish`, TensorFlow's converter makes HARD_SWISH.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow

SAME = (
    *("linear", "relu", "sigmoid", "tanh", "softmax", "softplus", "softsign"),
    *("elu", "selu", "gelu", "exponential", "mish"),
)
"""Activations that both versions have under the same name."""
RENAMED = {"silu": "swish", "swish": "swish"}

Step = Callable[[Any], Any]
"""A layer of tf_keras, or a function of operators; called with a tensor or an array."""


def activation_for(activation: str, name: str) -> tuple[str, list[Step]]:
    """Returns (activation of Keras 2, steps behind it, whose last layer has the name `name`).

    Raises `KeyError` for an activation that is not known.
    """
    if activation in SAME:
        return activation, []
    if activation in RENAMED:
        return RENAMED[activation], []
    return "linear", [_STEPS[activation](name)]


def _relu6(name: str) -> Step:
    layer: Step = import_keras().layers.ReLU(6.0, name=name)
    return layer


def _leaky_relu(name: str) -> Step:
    layer: Step = import_keras().layers.LeakyReLU(0.2, name=name)
    return layer


def _hard_sigmoid(name: str) -> Step:
    layers = import_keras().layers
    shift, relu6 = layers.Rescaling(1.0, 3.0, name=f"{name}_shift"), _relu6(f"{name}_relu6")
    scale = layers.Rescaling(1 / 6, name=name)
    return lambda x: scale(relu6(shift(x)))


def _hard_silu(name: str) -> Step:
    gate, product = _hard_sigmoid(f"{name}_gate"), import_keras().layers.Multiply(name=name)
    return lambda x: product([x, gate(x)])


def _hard_tanh(_: str) -> Step:
    return lambda x: import_tensorflow().clip_by_value(x, -1.0, 1.0)


def _log_softmax(_: str) -> Step:
    return lambda x: import_tensorflow().nn.log_softmax(x)


_STEPS: Mapping[str, Callable[[str], Step]] = {
    "relu6": _relu6,
    "leaky_relu": _leaky_relu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": _hard_tanh,
    "log_softmax": _log_softmax,
}
