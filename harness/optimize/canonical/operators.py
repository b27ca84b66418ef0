"""Operators between tensors, such as `a + b` or `tf.nn.relu6(x)`, as the layers that TFMOT can quantize.

    made = with_layers_for_operators(model)

| operator | becomes |
|---|---|
| `+`, `-`, `*`, `tf.maximum`, `tf.minimum` of two tensors, `tf.concat` | the merging layer |
| `+`, `-`, `*`, `/` with a constant, of all channels or one for each | `Rescaling` |
| `tf.nn.relu`, `relu6`, `sigmoid`, `tanh`, `softmax`, `silu`, `gelu`, `leaky_relu`, ... | the activation |
| `tf.reduce_mean` and `reduce_max` over height and width | global pooling |
| `tf.reshape`, with the batch first | `Reshape` |

`x * relu6(x + 3) / 6`, of operators or layers, becomes one HardSwish.  An operator that is not listed stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.canonical.hard_swish_pattern import HardSwishPattern
from hil.harness.optimize.canonical.rewrite import Rewrite
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow

OPERATORS = ("TFOpLambda", "SlicingOpLambda")
_MERGING = {
    **dict.fromkeys(("__operators__.add", "math.add"), "Add"),
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
}
_ACTIVATIONS = {
    **{f"nn.{name}": name for name in ("relu", "elu", "selu", "gelu", "softplus", "softmax", "tanh", "sigmoid")},
    **{f"math.{name}": name for name in ("tanh", "sigmoid", "softplus")},
    **dict.fromkeys(("nn.silu", "nn.swish"), "swish"),
    "math.exp": "exponential",
}
_POOLING = {"math.reduce_mean": "GlobalAveragePooling2D", "math.reduce_max": "GlobalMaxPooling2D"}


def with_layers_for_operators(model: Any) -> Any:
    """Returns the model with layers for its operators; the model itself if none becomes a layer."""
    if not any(type(layer).__name__ in OPERATORS for layer in model.layers):
        return model
    rewrite = Rewrite(model)
    pattern = HardSwishPattern(rewrite)
    replaced = []

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        found = _Operator(rewrite, layer, arguments, keywords).layer_output()
        replaced.extend([] if found is None else [layer])
        made = rewrite.copy(layer, name, arguments, keywords) if found is None else found
        given = import_tensorflow().nest.flatten([*arguments, *keywords.values()])
        return pattern.noted([x for x in given if _is_tensor(x)], made) if _is_tensor(made) else made

    made = rewrite.network(call)
    return made if replaced else model


class _Operator:
    """One call of an operator; `tensors` are its arguments, constants included, in the order of the function's."""

    def __init__(self, rewrite: Rewrite, layer: Any, arguments: list[Any], keywords: dict[str, Any]) -> None:
        self._rewrite = rewrite
        self._layer = layer
        self._given = [*arguments, *(value for key, value in keywords.items() if key in ("y", "x"))]
        self._keywords = {key: value for key, value in keywords.items() if value is not None and key != "name"}

    def layer_output(self) -> Any:
        """Returns the output of the layer that the operator becomes; None if it becomes none."""
        if type(self._layer).__name__ != "TFOpLambda":
            return None
        function = str(self._layer.get_config()["function"])
        given, others = self._given, {key: value for key, value in self._keywords.items() if key not in ("x", "y")}
        if function in (*_MERGING, "math.truediv", "math.divide", "math.negative") and not others:
            return self._arithmetic(function)
        if function in _ACTIVATIONS and len(given) == 1 and set(others) <= {"approximate", "axis"}:
            return self._activation(_ACTIVATIONS[function], others)
        if function == "nn.relu6" and len(given) == 1 and not others:
            return self._made("ReLU", {"max_value": 6.0})(given[0])
        if function == "nn.leaky_relu" and len(given) == 1 and set(others) <= {"alpha"}:
            return self._made("LeakyReLU", {"alpha": float(others.get("alpha", 0.2))})(given[0])
        if function == "clip_by_value":
            return self._clipped(others)
        if function == "concat":
            return self._concatenated(others)
        if function in _POOLING and len(given) == 1:
            return self._pooled(_POOLING[function], others)
        if function == "reshape":
            return self._reshaped(others)
        return None

    def _made(self, kind: str, config: dict[str, Any]) -> Any:
        return self._rewrite.instead(self._layer, getattr(import_keras().layers, kind), config)

    def _arithmetic(self, function: str) -> Any:
        given = self._given
        if len(given) == 2 and all(_is_tensor(x) for x in given):
            same = given[0].shape.rank == given[1].shape.rank
            return self._made(_MERGING[function], {})(given) if function in _MERGING and same else None
        place = next((place for place, x in enumerate(given) if _is_tensor(x)), None)
        if place is None:
            return None
        constant = None if len(given) == 1 else _channel_constant(given[1 - place], given[place])
        scaled = _affine(function, constant, tensor_first=place == 0)
        if scaled is None:
            return None
        scale, offset = (value.tolist() for value in scaled)
        return self._made("Rescaling", {"scale": scale, "offset": offset})(given[place])

    def _activation(self, name: str, others: dict[str, Any]) -> Any:
        if ("axis" in others and others["axis"] != -1) or others.get("approximate"):
            return None
        return self._made("Activation", {"activation": name})(self._given[0])

    def _clipped(self, others: dict[str, Any]) -> Any:
        """Makes a ReLU of a clip from 0 on, as `keras.activations.relu(x, max_value=6)` is."""
        low, high = (
            _number(self._argument(*place, others)) for place in (("clip_value_min", 1), ("clip_value_max", 2))
        )
        if low != 0 or high is None or high <= 0:
            return None
        return self._made("ReLU", {"max_value": high})(self._given[0])

    def _argument(self, name: str, place: int, others: dict[str, Any]) -> Any:
        """Returns an argument of the function, by name or by place; None if it is not given."""
        return others.get(name, self._given[place] if len(self._given) > place else None)

    def _concatenated(self, others: dict[str, Any]) -> Any:
        axis = self._argument("axis", 1, others)
        tensors = self._given[0]
        if (
            not isinstance(tensors, list | tuple)
            or not all(map(_is_tensor, tensors))
            or not isinstance(axis, int)
            or axis == 0
        ):
            return None
        return self._made("Concatenate", {"axis": axis})(list(tensors))

    def _pooled(self, kind: str, others: dict[str, Any]) -> Any:
        axes, x = others.get("axis"), self._given[0]
        if set(others) - {"axis", "keepdims"} or x.shape.rank != 4 or not isinstance(axes, list | tuple):
            return None
        if sorted(axis % 4 for axis in axes) != [1, 2]:
            return None
        return self._made(kind, {"keepdims": bool(others.get("keepdims", False))})(x)

    def _reshaped(self, others: dict[str, Any]) -> Any:
        """Makes a Reshape where the batch stays the first axis."""
        shape, x = self._argument("shape", 1, others), self._given[0]
        if not isinstance(shape, list | tuple) or not shape or not all(isinstance(size, int) for size in shape):
            return None
        batch, sample, rest = shape[0], x.shape[1:], tuple(shape[1:])
        whole = None not in sample and int(np.prod(sample)) == int(np.prod(rest))
        return self._made("Reshape", {"target_shape": rest})(x) if batch == -1 and whole else None


def _is_tensor(value: Any) -> bool:
    return bool(import_keras().backend.is_keras_tensor(value)) if hasattr(value, "shape") else False


def _number(value: Any) -> float | None:
    """Returns a number, or a constant tensor of one, as float; None for anything else."""
    plain = value.numpy() if hasattr(value, "numpy") else value
    return float(plain) if isinstance(plain, int | float | np.number) else None


def _channel_constant(value: Any, x: Any) -> Array | None:
    """Returns a constant as one number or (channels,) float64; None if it is neither."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    if array.size == 1 and array.ndim <= x.shape.rank:
        return array.reshape(())
    return array.reshape(-1) if array.size == array.shape[-1] == x.shape[-1] and array.ndim <= x.shape.rank else None


def _affine(function: str, constant: Array | None, *, tensor_first: bool) -> tuple[Array, Array] | None:
    """Returns (scale, offset) of an operator with a constant; None if it is no such function."""
    one, none = np.float64(1), np.float64(0)
    if function == "math.negative":
        return np.asarray(-one), np.asarray(none)
    if constant is None:
        return None
    made: dict[str, Callable[[], tuple[Any, Any]]] = {
        "__operators__.add": lambda: (one, constant),
        "math.add": lambda: (one, constant),
        "math.subtract": lambda: (one, -constant) if tensor_first else (-one, constant),
        "math.multiply": lambda: (constant, none),
    }
    if function in ("math.truediv", "math.divide") and tensor_first and np.all(constant != 0):
        return np.asarray(1 / constant), np.asarray(none)
    if function not in made:
        return None
    scale, offset = made[function]()
    return np.asarray(scale), np.asarray(offset)
