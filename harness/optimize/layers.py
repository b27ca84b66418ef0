"""Which layers the techniques touch, by stated rules, and where their weights are.

- Pruned and clustered: `Conv1D`, `Conv2D`, `Conv2DTranspose`, `Dense`.
- Quantized: every layer of the graph.
- Left as they are by these two: `DepthwiseConv2D` and `SeparableConv2D` (TFMOT does not prune or cluster depthwise
  kernels, by design, and its quantization splits a separable layer in two), layers named in `Recipe.keep`, and kernels
  of no more weights than clusters, where there is nothing to cluster.
- A model inside the model becomes its layers first (`flat`); one that a layer such as `TimeDistributed` repeats is
  refused.  TFMOT quantizes no such model, and would leave its kernels out of the rest.

The techniques that know the NPU go by rules of their own (`rules`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import OptimizeError

TOUCHED = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense")
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
_WRAPPERS = ("PruneLowMagnitude", "ClusterWeights", "QuantizeWrapper", "QuantizeWrapperV2")
"""TFMOT's.  Keras' own, such as TimeDistributed, are layers in their own right, which no technique unwraps."""


def unwrapped(layer: Any) -> Any:
    """The layer inside a TFMOT wrapper, or the layer itself."""
    return layer.layer if type(layer).__name__ in _WRAPPERS else layer


def walk(model: Any) -> Iterator[Any]:
    """The layers of a model in its order, wrappers removed, a model inside it replaced by its own layers."""
    return map(unwrapped, _flat(model))


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _flat(layer) if hasattr(layer, "layers") else (layer,)


def weight_name(variable: Any) -> str:
    """A weight's own name, without the names of layers around it, which differ between copies of a model."""
    return str(variable.name).split("/")[-1].split(":")[0]


def kernels(model: Any) -> Iterator[tuple[Any, str, Array]]:
    """(layer, kind of weight, values float32) of every kernel, in the model's order."""
    for outer in _flat(model):  # a quantization wrapper takes the kernel from its layer
        for variable in outer.weights:
            if weight_name(variable) in KERNELS:
                yield unwrapped(outer), weight_name(variable), variable.numpy()


def refuse_nested(model: Any, technique: str) -> None:
    """Raises `OptimizeError` for a model that holds another one, or a layer around one."""
    for layer in model.layers:
        if hasattr(layer, "layers") or hasattr(getattr(layer, "layer", None), "layers"):
            raise OptimizeError(
                f"{technique}: {layer.name} is a model inside the model",
                hint="call its layers one by one in build, so that there is one flat model",
            )


def is_prunable(layer: Any, keep: Collection[str]) -> bool:
    """Whether pruning touches this (unwrapped) layer."""
    return type(layer).__name__ in TOUCHED and layer.name not in keep


def is_clusterable(layer: Any, keep: Collection[str], clusters: int) -> bool:
    """Whether clustering touches this (unwrapped, built) layer."""
    return is_prunable(layer, keep) and int(np.prod(layer.kernel.shape)) > clusters


def channel_axis(layer: Any) -> int:
    """Axis of the kernel that int8 quantization gives a scale each."""
    return {"Conv2DTranspose": 2, "DepthwiseConv2D": 2}.get(type(layer).__name__, -1)
