"""Check that zeros and clusters survive every step of a path, in the Keras model and in the int8 file.

    rows = check_keras(model, ("prune", "pqat"), recipe)                 # after a step; LostError names the layer
    rows = check_tflite(int8, model, ("prune", "pqat"), recipe)          # after conversion

A path promises, for the layers that it prunes or clusters (`layers`):

- **zeros**: from `prune` on, at least `sparsity` of a kernel is zero.  int8 weights are symmetric (zero point 0), so a
  zero stays exactly zero: the promise is the same for the file.
- **palette**: on paths for the NPU, the whole kernel of the file has at most `clusters`, and 32, distinct values.
- **clusters**: from `cluster` on, a kernel has at most `clusters` distinct weights.  In the file each output channel
  has a scale of its own, and folding batch normalization multiplies each channel by its own factor; the number of
  values in one channel cannot grow, but channels need not agree.  So the file promises at most `clusters` distinct
  values *in each channel*, and in the whole kernel only where it has a single scale.  The number in the whole kernel
  is measured and reported: the fewer, the better Vela compresses it.

Plain `qat` promises nothing; `pqat` and `pcqat` preserve the zeros, `cqat` and `pcqat` the clusters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, LostError
from hil.core.tflite.weights import OperatorWeights, read_tflite
from hil.harness.model import Recipe
from hil.harness.optimize.layers import channel_axis, flat_layers, is_clusterable, is_prunable, kernels
from hil.harness.optimize.npu_rules import clustered_layers, pruned_layers
from hil.harness.optimize.paths import Node

_BREAKS = {
    "qat": ("prune", "cluster", "sparse_cluster"),
    "cqat": ("prune",),
    "pqat": ("cluster", "sparse_cluster"),
    "cluster": ("prune",),
}
"""Step -> the earlier steps whose zeros or clusters it does not preserve."""
_HINT = "see hil.harness.optimize.repairs; a Concatenate after the layer, or a repair switched off, loses it"


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


@dataclass(frozen=True)
class Promise:
    """Bounds of a kernel: at least `zeros` zero weights, at most `clusters` distinct ones (None = no bound).

    `whole`: in the int8 file too, `clusters` bounds the whole kernel and not each channel.
    """

    layer: str
    zeros: int | None
    clusters: int | None
    whole: bool = False


def promises(model: Any, path: Node, recipe: Recipe) -> list[Promise]:
    """Returns the promises of `path` for each layer of a Keras model that it prunes or clusters."""
    if any(step.startswith("npu_") for step in path):
        return _promises_for_npu(model, path, recipe)
    zeros = _holds(path, ("prune",))
    clusters = _holds(path, ("cluster", "sparse_cluster"))
    found = []
    for layer in flat_layers(model):
        prunable = zeros and is_prunable(layer, recipe.keep)
        clusterable = clusters and is_clusterable(layer, recipe.keep, recipe.clusters)
        if prunable or clusterable:
            wanted = _zeros(layer, recipe) if prunable else None
            found.append(Promise(layer.name, wanted, recipe.clusters if clusterable else None))
    return found


def _promises_for_npu(model: Any, path: Node, recipe: Recipe) -> list[Promise]:
    """Returns the promises of a path for the NPU, where every step preserves earlier zeros and clusters."""
    zeros, clusters = "npu_prune" in path, bool({"npu_cluster", "npu_sparse_cluster"} & set(path))
    pruned = pruned_layers(model, recipe) if zeros else ()
    values = clustered_layers(model, recipe) if clusters else {}
    return [
        Promise(layer.name, _zeros(layer, recipe) if layer.name in pruned else None, values.get(layer.name), whole=True)
        for layer in flat_layers(model)
        if layer.name in pruned or layer.name in values
    ]


def _zeros(layer: Any, recipe: Recipe) -> int:
    size = int(np.prod(layer.kernel.shape))
    return size - round(size * (1 - recipe.sparsity_of(layer.name)))


def _holds(path: Node, makers: Sequence[str]) -> bool:
    """Tells if a step of `makers` is in the path and no later step loses its zeros or clusters."""
    made = [place for place, step in enumerate(path) if step in makers]
    return bool(made) and not any(path[made[-1]] in _BREAKS.get(step, ()) for step in path[made[-1] + 1 :])


def measure_keras(model: Any) -> list[LayerWeights]:
    """Measures every kernel of a Keras model, depthwise ones included, in the model's order."""
    return [
        _count(layer.name, name, values, channel_axis(layer) if name != "pointwise_kernel" else -1)
        for layer, name, values in kernels(model)
    ]


def measure_tflite(content: bytes, model: Any = None) -> list[LayerWeights]:
    """Measures every kernel of an int8 file, in execution order, named by the layer of `model` that it came from.

    Without a model, or for an operator that matches no layer, the name is the operator's output tensor.
    """
    operators = [operator for operator in read_tflite(content) if operator.weights is not None]
    names = _layer_names(operators, model) if model is not None else [op.output_name for op in operators]
    return [
        _count(name, op.kind, op.weights, op.channel_axis, len(op.scales))
        for name, op in zip(names, operators, strict=True)
        if op.weights is not None
    ]


def check_keras(model: Any, path: Node, recipe: Recipe) -> list[LayerWeights]:
    """Measures a Keras model after the last step of `path`; raises `LostError` for a layer that breaks its promise."""
    rows = measure_keras(model)
    by_name = {row.layer: row for row in rows}
    for promise in promises(model, path, recipe):
        _hold(promise, by_name[promise.layer], path, by_name[promise.layer].unique, "")
    return rows


def check_tflite(content: bytes, model: Any, path: Node, recipe: Recipe) -> list[LayerWeights]:
    """Measures the int8 file of `model`; raises `LostError` for a layer that breaks its promise or is missing."""
    rows = measure_tflite(content, model)
    by_name = {row.layer: row for row in rows}
    for promise in promises(model, path, recipe):
        row = by_name.get(promise.layer)
        if row is None:
            raise LostError(f"layer {promise.layer} is not in the int8 file", layer=promise.layer, step=path[-1])
        whole = promise.whole or row.scales == 1
        _hold(promise, row, path, row.unique if whole else row.unique_per_channel, " of the int8 file")
    return rows


def _hold(promise: Promise, row: LayerWeights, path: Node, distinct: int, where: str) -> None:
    """Raises `LostError` if a measured layer breaks its promise."""
    has = round(row.zeros * row.size)
    if promise.zeros is not None and has < promise.zeros:
        message = (
            f"layer {row.layer}{where} lost its zeros after {path[-1]}: "
            f"{row.zeros:.1%} of its weights are zero, {promise.zeros / row.size:.1%} were promised"
        )
    elif promise.clusters is not None and distinct > promise.clusters:
        message = (
            f"layer {row.layer}{where} lost its clusters after {path[-1]}: "
            f"{distinct} distinct weights, {promise.clusters} were promised"
        )
    else:
        return
    raise LostError(message, layer=row.layer, step=path[-1], hint=_HINT)


def _count(name: str, kind: str, values: Array, axis: int, scales: int = 0) -> LayerWeights:
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


def _layer_names(operators: list[OperatorWeights], model: Any) -> list[str]:
    """Matches operators to Keras layers: by a layer's name in the operator's tensor names, else by shape and order."""
    waiting = {layer.name: values for layer, _kind, values in kernels(model)}
    names: list[str | None] = []
    for operator in operators:
        parts = [part for name in operator.names for part in re.split("[/;:]", name)]
        words = {word for part in parts for word in (part, part.removeprefix("quant_"))}
        name = next((n for n, values in waiting.items() if n in words and _same(values, operator)), None)
        waiting.pop(name or "", None)
        names.append(name)
    for place, operator in enumerate(operators):
        if names[place] is None:
            name = next((n for n, values in waiting.items() if _same(values, operator)), None)
            waiting.pop(name or "", None)
            names[place] = name or operator.output_name
    if len(set(names)) != len(names):
        raise BadInputError("two operators of the int8 file came from one layer")
    return [str(name) for name in names]


def _same(values: Array, operator: OperatorWeights) -> bool:
    """Tells if an operator's weights can be this kernel: same size, same axes in any order."""
    weights = operator.weights
    if weights is None or weights.size != values.size:
        return False
    return sorted(n for n in weights.shape if n > 1) == sorted(n for n in values.shape if n > 1)
