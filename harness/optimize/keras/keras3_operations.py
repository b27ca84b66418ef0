"""Functions of `keras.ops` in a Keras 3 model, such as `x * 2` or `ops.mean(x, axis=1)`, under Keras 2.

    step = operation_for("Mean", {"axis": [1, 2], "keepdims": False}, "mean")
    y = step(x)

A function becomes the Keras 2 layer that computes the same where there is one, since TFMOT quantizes layers; otherwise
it becomes TensorFlow's operator, which Keras 2 makes a layer of its own.  `keras3` compares the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
from hil.harness.optimize.keras.keras3_activations import activation_for

Settings = dict[str, Any]
Function = Callable[..., Any]

_MERGING = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_ARITHMETIC = {
    **{"Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Maximum": "maximum", "Minimum": "minimum"},
    **{"TrueDivide": "divide", "Divide": "divide", "Power": "pow"},
}
"""Function of two arguments -> function of `tf.math`."""
_UNARY = {
    **{"Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Square": "square", "Absolute": "abs"},
    **{"Abs": "abs", "Negative": "negative", "Reciprocal": "reciprocal"},
}
_REDUCTIONS = {
    **{"Mean": "reduce_mean", "Sum": "reduce_sum"},
    **{"Max": "reduce_max", "Amax": "reduce_max", "Min": "reduce_min", "Amin": "reduce_min"},
}
_ACTIVATIONS = {
    **{"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Silu": "silu", "Selu": "selu"},
    **{"HardSilu": "hard_silu", "HardSigmoid": "hard_sigmoid", "HardTanh": "hard_tanh"},
    **{"Softplus": "softplus", "Softsign": "softsign"},
}


def named(made: Any, name: str) -> Any:
    """Names the layer that an operator made of itself; an array is returned as it is."""
    if hasattr(made, "_keras_history"):
        made._keras_history.layer._name = name
    return made


def operation_for(kind: str, settings: Settings, name: str) -> Function | None:
    """Returns the function that computes the operation `kind`; None for one that is not known."""
    if kind in _ACTIVATIONS:
        return _activation(_ACTIVATIONS[kind], name)
    if kind in _UNARY:
        return lambda x: named(getattr(import_tensorflow().math, _UNARY[kind])(x), name)
    if kind in _REDUCTIONS:
        return _reduction(_REDUCTIONS[kind], settings, name)
    if kind in _ARITHMETIC:
        return _arithmetic(kind, name)
    maker = _MAKERS.get(kind)
    return maker(settings, name) if maker else None


def _activation(activation: str, name: str) -> Function:
    in_keras2, after = activation_for(activation, name)
    step = after[0] if after else import_keras().layers.Activation(in_keras2, name=name)
    return lambda x: named(step(x), name)


def _reduction(function: str, settings: Settings, name: str) -> Function:
    reduce = getattr(import_tensorflow().math, function)
    return lambda x: named(reduce(x, axis=settings.get("axis"), keepdims=settings.get("keepdims", False)), name)


def _arithmetic(kind: str, name: str) -> Function:
    """A merging layer for two tensors of one rank; the operator for a constant, and for other ranks.

    Keras 2's merging layers insert axes behind the samples where ranks differ, operators in front.
    """
    layer = getattr(import_keras().layers, kind)(name=name) if kind in _MERGING else None
    function = getattr(import_tensorflow().math, _ARITHMETIC[kind])

    def call(a: Any, b: Any) -> Any:
        if layer is not None and _rank(a) == _rank(b) > 0:
            return layer([a, b])
        a, b = (np.float32(x) if isinstance(x, int | float) else x for x in (a, b))
        return named(function(a, b), name)

    return call


def _rank(value: Any) -> int:
    return len(value.shape) if hasattr(value, "shape") else 0


def _clip(settings: Settings, name: str) -> Function:
    clip = import_tensorflow().clip_by_value
    low, high = float(settings["x_min"]), float(settings["x_max"])
    return lambda x: named(clip(x, low, high), name)


def _elu(settings: Settings, name: str) -> Function:
    return import_keras().layers.ELU(settings.get("alpha", 1.0), name=name)  # type: ignore[no-any-return]


def _leaky_relu(settings: Settings, name: str) -> Function:
    return import_keras().layers.LeakyReLU(settings.get("negative_slope", 0.2), name=name)  # type: ignore[no-any-return]


def _gelu(settings: Settings, name: str) -> Function:
    if not settings.get("approximate", True):
        return import_keras().layers.Activation("gelu", name=name)  # type: ignore[no-any-return]
    return lambda x: named(import_tensorflow().nn.gelu(x, approximate=True), name)


def _softmax(settings: Settings, name: str) -> Function:
    return import_keras().layers.Softmax(settings.get("axis", -1), name=name)  # type: ignore[no-any-return]


def _concatenate(settings: Settings, name: str) -> Function:
    return import_keras().layers.Concatenate(settings.get("axis", 0), name=name)  # type: ignore[no-any-return]


def _stack(settings: Settings, name: str) -> Function:
    return lambda values: named(import_tensorflow().stack(values, axis=settings.get("axis", 0)), name)


def _split(settings: Settings, name: str) -> Function:
    where, axis = settings["indices_or_sections"], settings.get("axis", 0)

    def call(x: Any) -> Any:
        edges = where if isinstance(where, int) else np.diff([0, *where, int(x.shape[axis])]).tolist()
        made = import_tensorflow().split(x, edges, axis=axis)
        named(made[0], name)
        return made

    return call


def _reshape(settings: Settings, name: str) -> Function:
    target = settings["newshape"]
    return lambda x: _reshaped(x, list(target), name)


def _reshaped(x: Any, target: Sequence[int | None], name: str) -> Any:
    """A Reshape layer where the samples stay apart, which the sizes show; TensorFlow's operator otherwise."""
    first, *sample = target
    sizes = list(x.shape[1:])
    fixed = None not in (*sizes, *sample) and -1 not in sample
    if first is None or (fixed and first == -1 and np.prod(sizes) == np.prod([size or 0 for size in sample])):
        return import_keras().layers.Reshape([int(-1 if size is None else size) for size in sample], name=name)(x)
    return named(import_tensorflow().reshape(x, [int(-1 if size is None else size) for size in target]), name)


def _expand_dims(settings: Settings, name: str) -> Function:
    axes = [settings["axis"]] if isinstance(settings["axis"], int) else list(settings["axis"])

    def call(x: Any) -> Any:
        shape, rank = list(x.shape), len(x.shape) + len(axes)
        for axis in sorted(axis % rank for axis in axes):
            shape.insert(axis, 1)
        return _reshaped(x, [None if 0 not in axes else 1, *shape[1:]], name)

    return call


def _squeeze(settings: Settings, name: str) -> Function:
    def call(x: Any) -> Any:
        axis = settings.get("axis")
        axes = [place for place, size in enumerate(x.shape) if size == 1 and place] if axis is None else axis
        axes = [axis % len(x.shape) for axis in ([axes] if isinstance(axes, int) else axes)]
        return _reshaped(x, [None, *(size for place, size in enumerate(x.shape) if place and place not in axes)], name)

    return call


def _transpose(settings: Settings, name: str) -> Function:
    def call(x: Any) -> Any:
        axes = settings.get("axes") or list(reversed(range(len(x.shape))))
        return _permuted(x, [axis % len(x.shape) for axis in axes], name)

    return call


def _permuted(x: Any, axes: list[int], name: str) -> Any:
    if axes[0] == 0:
        return import_keras().layers.Permute(axes[1:], name=name)(x)
    return named(import_tensorflow().transpose(x, axes), name)


def _swapaxes(settings: Settings, name: str) -> Function:
    def call(x: Any) -> Any:
        axes = list(range(len(x.shape)))
        a, b = settings["axis1"] % len(axes), settings["axis2"] % len(axes)
        axes[a], axes[b] = axes[b], axes[a]
        return _permuted(x, axes, name)

    return call


def _moveaxis(settings: Settings, name: str) -> Function:
    def call(x: Any) -> Any:
        axes = np.moveaxis(np.empty(range(1, len(x.shape) + 1)), settings["source"], settings["destination"]).shape
        return _permuted(x, [size - 1 for size in axes], name)

    return call


def _pad(settings: Settings, name: str) -> Function:
    """A ZeroPadding layer for zeros in height and width, or in time; TensorFlow's operator otherwise."""
    width, mode = settings["pad_width"], settings.get("mode", "constant")
    layers = import_keras().layers

    def call(x: Any, constant_values: Any = None) -> Any:
        pairs = [[pair, pair] if isinstance(pair, int) else list(pair) for pair in _every_axis(width, len(x.shape))]
        zeros = mode == "constant" and not constant_values and not any((*pairs[0], *pairs[-1]))
        if zeros and len(pairs) == 4:
            return layers.ZeroPadding2D((tuple(pairs[1]), tuple(pairs[2])), name=name)(x)
        if zeros and len(pairs) == 3:
            return layers.ZeroPadding1D(tuple(pairs[1]), name=name)(x)
        made = import_tensorflow().pad(x, pairs, mode=mode.upper(), constant_values=constant_values or 0)
        return named(made, name)

    return call


def _every_axis(width: Any, rank: int) -> list[Any]:
    if isinstance(width, int):
        return [width] * rank
    return list(width) if len(width) == rank else [list(width[0])] * rank


def _get_item(_: Settings, name: str) -> Function:
    return lambda x, key: named(x[tuple(key) if isinstance(key, list) else key], name)


def _flip(settings: Settings, name: str) -> Function:
    axis = settings["axis"]
    return lambda x: named(import_tensorflow().reverse(x, [axis] if isinstance(axis, int) else list(axis)), name)


def _repeat(settings: Settings, name: str) -> Function:
    return lambda x: named(import_tensorflow().repeat(x, settings["repeats"], axis=settings["axis"]), name)


def _tile(settings: Settings, name: str) -> Function:
    return lambda x: named(import_tensorflow().tile(x, list(settings["repeats"])), name)


def _matmul(_: Settings, name: str) -> Function:
    return lambda a, b: named(import_tensorflow().linalg.matmul(a, b), name)


def _cast(settings: Settings, name: str) -> Function | None:
    linear = import_keras().layers.Activation("linear", name=name)
    return linear if settings.get("dtype") == "float32" else None


def _pool(kind: str) -> Callable[[Settings, str], Function]:
    def made(settings: Settings, name: str) -> Function:
        keys = ("pool_size", "strides", "padding")
        given = {key: settings[key] for key in keys if settings.get(key) is not None}

        def call(x: Any) -> Any:
            return getattr(import_keras().layers, f"{kind}{len(x.shape) - 2}D")(**given, name=name)(x)

        return call

    return made


_MAKERS: dict[str, Callable[[Settings, str], Function | None]] = {
    **{"Clip": _clip, "Elu": _elu, "LeakyRelu": _leaky_relu, "Gelu": _gelu, "Softmax": _softmax},
    **{"Concatenate": _concatenate, "Stack": _stack, "Split": _split, "Reshape": _reshape, "Transpose": _transpose},
    **{"ExpandDims": _expand_dims, "Squeeze": _squeeze, "Swapaxes": _swapaxes, "Moveaxis": _moveaxis},
    **{"Pad": _pad, "GetItem": _get_item, "Flip": _flip, "Repeat": _repeat, "Tile": _tile, "Matmul": _matmul},
    "Cast": _cast,
    **{"MaxPool": _pool("MaxPooling"), "AveragePool": _pool("AveragePooling")},
}
OPERATIONS = frozenset((*_ACTIVATIONS, *_UNARY, *_REDUCTIONS, *_ARITHMETIC, *_MAKERS))
"""Functions of `keras.ops` that are rebuilt, by the name of their class."""
