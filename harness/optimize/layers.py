"""Which layers the techniques touch, by stated rules, and where their weights are.

- Pruned and clustered: `Conv1D`, `Conv2D`, `Conv2DTranspose`, `Dense`.
- Left as they are: `DepthwiseConv2D` and `SeparableConv2D` (TFMOT does not prune or cluster depthwise kernels, by
  design, and its quantization splits a separable layer in two), layers named in `Recipe.keep`, and kernels of no more
  weights than clusters, where there is nothing to cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from hil.harness.model import Array

TOUCHED = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense")
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def unwrapped(layer: Any) -> Any:
    """The layer inside a TFMOT wrapper, or the layer itself."""
    return getattr(layer, "layer", layer)


def walk(model: Any) -> Iterator[Any]:
    """The layers of a model in its order, wrappers removed."""
    for layer in model.layers:
        yield unwrapped(layer)


def kernels(model: Any) -> Iterator[tuple[Any, str, Array]]:
    """(layer, kind of weight, values float32) of every kernel, in the model's order."""
    for outer in model.layers:
        layer = unwrapped(outer)
        for variable in outer.weights:
            name = variable.name.split("/")[-1].split(":")[0]
            if name in KERNELS:
                yield layer, name, variable.numpy()


def is_prunable(layer: Any, keep: Collection[str]) -> bool:
    """Whether pruning touches this (unwrapped) layer."""
    return type(layer).__name__ in TOUCHED and layer.name not in keep


def is_clusterable(layer: Any, keep: Collection[str], clusters: int) -> bool:
    """Whether clustering touches this (unwrapped, built) layer."""
    return is_prunable(layer, keep) and int(np.prod(layer.kernel.shape)) > clusters


def channel_axis(layer: Any) -> int:
    """Axis of the kernel that int8 quantization gives a scale each."""
    return {"Conv2DTranspose": 2, "DepthwiseConv2D": 2}.get(type(layer).__name__, -1)
