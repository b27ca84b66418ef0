"""Kernels of recurrent layers in an int8 file, found by value: the file has each gate's weights as a tensor of its own.

    for found in find_gates(constants, model):         # `core.tflite.weights.Constant` of the file
        print(found.layer, found.kernel, len(found.tensors))    # memory recurrent_kernel 4

A fused LSTM holds them as inputs of one operator, an unrolled layer as weights of the products of each gate, under
names that the converter makes up.  Recurrent layers are trained in float, so a gate is the tensor that lies within half
a step of its weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.weights import Constant
from hil.harness.optimize.layers import kernel_variables
from hil.harness.optimize.recurrent import GATES, recurrent_layers

_HALF_STEP = 0.501


@dataclass(frozen=True)
class GateWeights:
    """Tensors (units, inputs) of one kernel of a recurrent layer, one for each gate."""

    layer: str
    kernel: str
    tensors: tuple[Constant, ...]


def find_gates(constants: Sequence[Constant], model: Any) -> Iterator[GateWeights]:
    """Iterates over the kernels of recurrent layers of which a file has every gate."""
    for layer in recurrent_layers(model):
        count = GATES[type(getattr(layer, "forward_layer", layer)).__name__]
        for kernel, variable in kernel_variables(layer):
            gates = np.split(variable.numpy(), count, axis=-1)
            found = [next((tensor for tensor in constants if _holds(tensor, gate.T)), None) for gate in gates]
            tensors = tuple(tensor for tensor in found if tensor is not None)
            if len(tensors) == count:
                yield GateWeights(layer.name, kernel, tensors)


def _holds(tensor: Constant, weights: Array) -> bool:
    """Returns whether a tensor's real values lie within half a step of weights (units, inputs)."""
    if tensor.values.shape != weights.shape:
        return False
    scales = np.asarray(tensor.scales).reshape(-1, 1)
    return bool(np.all(np.abs(tensor.values * scales - weights) <= _HALF_STEP * scales))
