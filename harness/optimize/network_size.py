"""Size of a Keras network: parameters, and multiply-accumulates (MACs) of one inference.

    params, macs = count_params_and_macs(model)

A MAC is one multiplication of a weight with an activation.  Element-wise work, pooling and normalization (which is
folded into the weights on the way to the NPU) are not counted, as is usual for these figures.
"""

from __future__ import annotations

from math import prod
from typing import Any

from hil.harness.model import Model
from hil.harness.optimize.layers import KERNELS, weight_name
from hil.harness.optimize.trained_base import build_network


def count_params_and_macs(model: Model) -> tuple[int, int]:
    """Counts (parameters, MACs) of a model file's network."""
    network = build_network(model)
    return int(network.count_params()), sum(_macs(layer) for layer in network.layers)


def _macs(layer: Any) -> int:
    """Counts MACs: each weight is used once per output position of its layer (once per time step if recurrent)."""
    weights = sum(int(prod(weight.shape)) for weight in layer.weights if weight_name(weight) in KERNELS)
    if not weights:
        return 0
    recurrent = any(weight_name(weight) == "recurrent_kernel" for weight in layer.weights)
    shape = layer.input_shape[1:-1] if recurrent else _positions(layer)
    return weights * prod(shape)


def _positions(layer: Any) -> tuple[int, ...]:
    """Returns the spatial shape over which the kernel moves: of the output, or of the input of a transposed layer."""
    transposed = "Transpose" in type(layer).__name__
    shape: tuple[int, ...] = layer.input_shape if transposed else layer.output_shape
    return shape[1:-1]
