"""Measurement of kernels: zeros and distinct weights, in Keras models and in int8 files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.weights import read_constants, read_tflite
from hil.harness.optimize.gate_weights import GateWeights, find_gates
from hil.harness.optimize.layers import channel_axis, kernels
from hil.harness.optimize.operator_layers import match_layers


@dataclass(frozen=True)
class LayerWeights:
    """One layer's kernel: `zeros` is its share of zeros, `unique` its distinct values, `unique_per_channel` the
    largest number of distinct values in one output channel, `scales` how many quantization scales it has (0 = float).

    `kernel` is the kind of weight.  In a file, a recurrent layer's kernel has a tensor for each gate: `unique`,
    `unique_per_channel` and `scales` are those of the gate with the most.
    """

    layer: str
    kind: str
    size: int
    zeros: float
    unique: int
    unique_per_channel: int
    scales: int = 0
    kernel: str = "kernel"


def measure_keras(model: Any) -> list[LayerWeights]:
    """Measures every kernel of a Keras model, depthwise ones included, in the model's order."""
    return [
        _measured(layer.name, name, values, channel_axis(layer) if name != "pointwise_kernel" else -1, kernel=name)
        for layer, name, values in kernels(model)
    ]


def measure_tflite(content: bytes, model: Any = None) -> list[LayerWeights]:
    """Measures every kernel of an int8 file, in execution order, named by the layer of `model` that it came from.

    A shared layer has a row for each of its operators.  Without a model, or for an operator that matches no layer, the
    name is the operator's output tensor.  The kernels of recurrent layers come last.
    """
    gates = [] if model is None else list(find_gates(read_constants(content), model))
    of_gates = {tensor.name for kernel in gates for tensor in kernel.tensors}
    operators = [op for op in read_tflite(content) if op.weights is not None and op.names[0] not in of_gates]
    names = [None] * len(operators) if model is None else match_layers(operators, model)
    rows = [
        _measured(name or op.output_name, op.kind, op.weights, op.channel_axis, len(op.scales))
        for name, op in zip(names, operators, strict=True)
        if op.weights is not None
    ]
    return [*rows, *map(_measured_gates, gates)]


def _measured_gates(found: GateWeights) -> LayerWeights:
    parts = [
        _measured(found.layer, found.kernel, tensor.values, 0, len(tensor.scales), found.kernel)
        for tensor in found.tensors
    ]
    size = sum(part.size for part in parts)
    return replace(
        parts[0],
        size=size,
        zeros=sum(part.zeros * part.size for part in parts) / size,
        **{field: max(getattr(part, field) for part in parts) for field in ("unique", "unique_per_channel", "scales")},
    )


def _measured(name: str, kind: str, values: Array, axis: int, scales: int = 0, kernel: str = "kernel") -> LayerWeights:
    channels = np.moveaxis(values, axis, 0)
    return LayerWeights(
        layer=name,
        kind=kind,
        size=int(values.size),
        zeros=float(np.mean(values == 0)),
        unique=int(np.unique(values).size),
        unique_per_channel=max(int(np.unique(channel).size) for channel in channels),
        scales=scales,
        kernel=kernel,
    )
