"""Layers and kernels that pruning, clustering and quantization change, and access to their weights.

- Pruned and clustered: `Conv2D` (as which a `Conv1D` is computed), `Conv2DTranspose`, `Dense`, and both kernels of a
  recurrent layer with more than one time step (of a single step, some gates do not matter).
- Quantized: every layer of the graph.
- Neither pruned nor clustered: `DepthwiseConv2D` (TFMOT does not prune or cluster depthwise kernels, by design), layers
  named in `Recipe.keep`, and kernels with no more weights than clusters.
- A separable convolution is split first, and a nested model replaced by its layers (`canonical_network`); one that a
  layer such as `TimeDistributed` repeats is refused.  TFMOT cannot quantize a nested model, and would neither prune nor
  cluster its kernels.

The techniques for the NPU have their own rules (`npu_rules`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from hil.core.arrays import Array

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "Bidirectional")
TOUCHED = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense", *RECURRENT)
KERNELS = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel")
_WRAPPERS = ("PruneLowMagnitude", "ClusterWeights", "QuantizeWrapper", "QuantizeWrapperV2")
"""Wrappers of TFMOT.  Those of Keras, such as TimeDistributed, are layers of their own and are not unwrapped."""


def is_wrapped(layer: Any) -> bool:
    """Returns whether a layer is a TFMOT wrapper around another one."""
    return type(layer).__name__ in _WRAPPERS


def unwrap(layer: Any) -> Any:
    """Returns the layer inside a TFMOT wrapper, or the layer itself."""
    return layer.layer if is_wrapped(layer) else layer


def flat_layers(model: Any) -> Iterator[Any]:
    """Iterates over the layers of a model in order, without TFMOT's wrappers, those of nested models in their place."""
    return map(unwrap, _flat(model))


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _flat(layer) if hasattr(layer, "layers") else (layer,)


def weight_name(variable: Any) -> str:
    """Returns a weight's own name, without the names of enclosing layers, which differ between copies of a model."""
    return str(variable.name).split("/")[-1].split(":")[0]


def kernel_variables(layer: Any) -> Iterator[tuple[str, Any]]:
    """Iterates over (kind of weight, variable) of a layer's kernels; "backward_kernel" is one of a Bidirectional."""
    for direction in ("forward", "backward") if hasattr(layer, "forward_layer") else ("",):
        part = getattr(layer, f"{direction}_layer") if direction else layer
        for variable in part.weights:
            if weight_name(variable) in KERNELS:
                yield f"{direction}_{weight_name(variable)}".removeprefix("_"), variable


def kernels(model: Any) -> Iterator[tuple[Any, str, Array]]:
    """Iterates over (layer, kind of weight, values float32) of every kernel, in the model's order."""
    for outer in _flat(model):  # a quantization wrapper takes the kernel from its layer
        for name, variable in kernel_variables(outer):
            yield unwrap(outer), name, variable.numpy()


def is_prunable(layer: Any, keep: Collection[str]) -> bool:
    """Returns whether pruning applies to an unwrapped layer."""
    kind = type(layer).__name__
    return kind in TOUCHED and layer.name not in keep and (kind not in RECURRENT or _time_steps(layer) > 1)


def _time_steps(layer: Any) -> int:
    shape = layer.get_input_shape_at(0)
    return int((shape[0] if isinstance(shape, list) else shape)[1])


def is_clusterable(layer: Any, keep: Collection[str], clusters: int) -> bool:
    """Returns whether clustering applies to an unwrapped, built layer."""
    return is_prunable(layer, keep) and any(np.prod(kernel.shape) > clusters for _, kernel in kernel_variables(layer))


def channel_axis(layer: Any) -> int:
    """Returns the kernel axis along which per-channel int8 quantization has a scale for each channel."""
    return {"Conv2DTranspose": 2, "DepthwiseConv2D": 2}.get(type(layer).__name__, -1)
