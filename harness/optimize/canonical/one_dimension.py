"""One-dimensional layers as two-dimensional layers of height 1, which TFMOT can quantize.

    made = without_one_dimension(model)      # Conv1D "c" becomes Conv2D "c" with a kernel (1, k)

A tensor (n, steps, channels) becomes (n, 1, steps, channels) before the first such layer and stays so through pooling,
normalization, activations and merging; it is made one-dimensional again for other layers and for the model's outputs.
Causal padding becomes a ZeroPadding2D.  TensorFlow computes a one-dimensional convolution in just this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.canonical.rewrite import Rewrite, is_output, output_shape, readers
from hil.harness.optimize.keras.keras2 import import_keras

_CONVOLUTIONS = {
    "Conv1D": "Conv2D",
    "DepthwiseConv1D": "DepthwiseConv2D",
    "SeparableConv1D": "SeparableConv2D",
    "Conv1DTranspose": "Conv2DTranspose",
}
_OTHERS = {
    "MaxPooling1D": "MaxPooling2D",
    "AveragePooling1D": "AveragePooling2D",
    "GlobalMaxPooling1D": "GlobalMaxPooling2D",
    "GlobalAveragePooling1D": "GlobalAveragePooling2D",
    "ZeroPadding1D": "ZeroPadding2D",
    "Cropping1D": "Cropping2D",
    "UpSampling1D": "UpSampling2D",
    "SpatialDropout1D": "SpatialDropout2D",
}
_REASONS = (*_CONVOLUTIONS, "MaxPooling1D", "UpSampling1D", "RepeatVector")
"""Layers that TFMOT does not quantize; the others above it does where no such layer is in the model."""
_ANY_RANK = (
    *("Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax", "HardSwish", "Rescaling"),
    *("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Flatten", "Reshape"),
    *("BatchNormalization", "PReLU", "Dense"),
)
"""Layers that compute the same on (n, 1, steps, channels), given their axes."""


def without_one_dimension(model: Any) -> Any:
    """Returns the model with one-dimensional layers replaced; the model itself if it has none to replace."""
    if not any(type(layer).__name__ in _REASONS or dense_before_norm(layer) for layer in model.layers):
        return model
    return _Planes(model).network()


def dense_before_norm(layer: Any) -> bool:
    """Returns whether a layer is a Dense over (n, ..., channels) that only batch normalization reads."""
    return (
        type(layer).__name__ == "Dense"
        and len(layer._inbound_nodes) == 1
        and len(layer.input_shape) in (3, 4)
        and [type(reader).__name__ for reader in readers(layer)] == ["BatchNormalization"]
    )


class _Planes:
    """The rewriting: `_planes` has the tensors of height 1 that stand for one-dimensional ones."""

    def __init__(self, model: Any) -> None:
        self._rewrite = Rewrite(model)
        self._planes: dict[int, Any] = {}
        self._up: dict[int, Any] = {}
        self._down: dict[int, Any] = {}

    def network(self) -> Any:
        return self._rewrite.network(self._call)

    def _call(self, layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        kind = type(layer).__name__
        tensors = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else arguments[:1]
        if kind == "RepeatVector":
            return self._noted(layer, self._repeated(layer, tensors[0]))
        ranks = {3 if id(x) in self._planes else len(getattr(x, "shape", ())) for x in tensors}
        plain = not any(value is not None for value in keywords.values()) and len(arguments) == 1
        if plain and ranks == {3} and (kind in (*_CONVOLUTIONS, *_OTHERS) or dense_before_norm(layer)):
            made = self._layer(layer)(self._plane(tensors[0]))
            return self._noted(layer, made)
        if plain and ranks == {3} and any(id(x) in self._planes for x in tensors) and _elementwise(layer):
            planes = [self._plane(x) for x in tensors]
            made = self._same(layer)(planes if isinstance(arguments[0], list | tuple) else planes[0])
            return self._noted(layer, made)
        if plain and ranks == {4} and dense_before_norm(layer):
            return self._layer(layer)(tensors[0])
        return self._rewrite.copy(layer, name, *self._lines(arguments, keywords))

    def _noted(self, layer: Any, made: Any) -> Any:
        """Notes an output of height 1; one of the model becomes one-dimensional."""
        if len(made.shape) != 4 or len(output_shape(layer)) != 3:
            return made
        self._planes[id(made)] = made
        return self._line(made) if is_output(layer, self._rewrite.model) else made

    def _plane(self, x: Any) -> Any:
        """Returns (n, 1, steps, channels) of (n, steps, channels)."""
        if id(x) in self._planes:
            return x
        if id(x) not in self._up:
            made = self._rewrite.reshaped(x, (1, *x.shape[1:]), f"{x.node.layer.name}_plane")
            self._up[id(x)] = made, x  # a tensor that is held keeps its id
            self._planes[id(made)] = made
        return self._up[id(x)][0]

    def _line(self, x: Any) -> Any:
        """Returns (n, steps, channels) of (n, 1, steps, channels)."""
        if id(x) not in self._planes:
            return x
        if id(x) not in self._down:
            made = self._rewrite.reshaped(x, tuple(x.shape[2:]), f"{x.node.layer.name}_line")
            self._down[id(x)] = made
            self._up[id(made)] = x, made
        return self._down[id(x)]

    def _lines(self, arguments: list[Any], keywords: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        def lines(value: Any) -> Any:
            return [self._line(x) for x in value] if isinstance(value, list | tuple) else self._line(value)

        return [lines(value) for value in arguments], {key: lines(value) for key, value in keywords.items()}

    def _repeated(self, layer: Any, x: Any) -> Any:
        column = self._rewrite.reshaped(x, (1, 1, x.shape[-1]), f"{layer.name}_plane")
        return self._rewrite.instead(layer, import_keras().layers.UpSampling2D, {"size": (1, layer.n)})(column)

    def _layer(self, layer: Any) -> Any:
        """Returns a callable: the two-dimensional layer of a one-dimensional one, or of a Dense."""
        kind, layers, config = type(layer).__name__, import_keras().layers, layer.get_config()
        if kind == "Dense":
            fields = {key: value for key, value in config.items() if key != "units"}
            weights = layer.get_weights()
            weights[0] = weights[0][None, None]
            return self._made(layer, layers.Conv2D, {**fields, "filters": layer.units, "kernel_size": 1}, weights)
        if kind in _OTHERS:
            return self._made(layer, getattr(layers, _OTHERS[kind]), _plane_config(kind, config))
        made = self._made(
            layer, getattr(layers, _CONVOLUTIONS[kind]), _convolution_config(kind, config), _kernels(layer)
        )
        if config["padding"] != "causal":
            return made
        past = (config["kernel_size"][0] - 1) * config["dilation_rate"][0]
        pad = self._rewrite.new(layers.ZeroPadding2D, f"{layer.name}_pad", {"padding": ((0, 0), (past, 0))})
        return lambda x: made(pad(x))

    def _made(self, layer: Any, kind: type[Any], config: dict[str, Any], weights: list[Array] | None = None) -> Any:
        return self._rewrite.instead(layer, kind, config, weights or [])

    def _same(self, layer: Any) -> Any:
        """Returns the layer with its axes as they are on (n, 1, steps, channels)."""
        kind, config, weights = type(layer).__name__, layer.get_config(), layer.get_weights()
        if kind in ("BatchNormalization", "Softmax", "Concatenate"):
            config["axis"] = [_shifted(axis, 3) for axis in np.atleast_1d(config["axis"])]
            config["axis"] = config["axis"][0] if len(config["axis"]) == 1 else config["axis"]
        if kind == "PReLU":
            config["shared_axes"] = [axis + 1 for axis in config["shared_axes"] or ()] or None
            weights = [weights[0][None]]
        return self._made(layer, type(layer), config, weights)


def _elementwise(layer: Any) -> bool:
    config, kind = layer.get_config(), type(layer).__name__
    axes = np.atleast_1d(config.get("axis", -1)).tolist() if kind in ("Softmax", "Concatenate") else []
    return kind in _ANY_RANK and 0 not in axes


def _shifted(axis: int, rank: int) -> int:
    """Returns an axis of (n, steps, channels) on (n, 1, steps, channels)."""
    return int(axis) % rank + 1


def _plane_config(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in config.items() if key not in ("batch_input_shape", "dtype")}
    for key in ("pool_size", "strides"):
        if key in made:
            made[key] = (1, *np.atleast_1d(made[key]).tolist())
    for key in ("padding", "cropping"):
        if kind in ("ZeroPadding1D", "Cropping1D") and key in made:
            made[key] = ((0, 0), tuple(made[key]))
    if kind == "UpSampling1D":
        made["size"] = (1, int(made["size"]))
    return made


def _convolution_config(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Depthwise strides are equal in both directions, as TensorFlow wants them; over a height of 1 nothing changes."""
    stride = config["strides"][0]
    made = {
        **{key: value for key, value in config.items() if key not in ("batch_input_shape", "dtype")},
        "kernel_size": (1, *config["kernel_size"]),
        "dilation_rate": (1, *config["dilation_rate"]),
        "strides": (stride, stride) if kind in ("DepthwiseConv1D", "SeparableConv1D") else (1, stride),
        "padding": "valid" if config["padding"] == "causal" else config["padding"],
    }
    if config.get("output_padding") is not None:
        made["output_padding"] = (0, *np.atleast_1d(config["output_padding"]).tolist())
    return made


def _kernels(layer: Any) -> list[Array]:
    return [value[None] if value.ndim == 3 else value for value in layer.get_weights()]
