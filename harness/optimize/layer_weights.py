"""Measurement of kernels: zeros and distinct weights, in Keras models and in int8 files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.weights import read_tflite
from hil.harness.optimize.layers import channel_axis, kernels
from hil.harness.optimize.operator_layers import match_layers


@dataclass(frozen=True)
class LayerWeights:
    """One layer's kernel: `zeros` is its share of zeros, `unique` its distinct values, `unique_per_channel` the
    largest number of distinct values in one output channel, `scales` how many quantization scales it has (0 = float).
    """

    layer: str
    kind: str
    size: int
    zeros: float
    unique: int
    unique_per_channel: int
    scales: int = 0


def measure_keras(model: Any) -> list[LayerWeights]:
    """Measures every kernel of a Keras model, depthwise ones included, in the model's order."""
    return [
        _measured(layer.name, name, values, channel_axis(layer) if name != "pointwise_kernel" else -1)
        for layer, name, values in kernels(model)
    ]


def measure_tflite(content: bytes, model: Any = None) -> list[LayerWeights]:
    """Measures every kernel of an int8 file, in execution order, named by the layer of `model` that it came from.

    A shared layer has a row for each of its operators.  Without a model, or for an operator that matches no layer, the
    name is the operator's output tensor.
    """
    operators = [operator for operator in read_tflite(content) if operator.weights is not None]
    names = [None] * len(operators) if model is None else match_layers(operators, model)
    return [
        _measured(name or op.output_name, op.kind, op.weights, op.channel_axis, len(op.scales))
        for name, op in zip(names, operators, strict=True)
        if op.weights is not None
    ]


def _measured(name: str, kind: str, values: Array, axis: int, scales: int = 0) -> LayerWeights:
    channels = np.moveaxis(values, axis, 0)
    return LayerWeights(
        layer=name,
        kind=kind,
        size=int(values.size),
        zeros=float(np.mean(values == 0)),
        unique=int(np.unique(values).size),
        unique_per_channel=max(int(np.unique(channel).size) for channel in channels),
        scales=scales,
    )
