"""Which layers the NPU-aware techniques touch, one rule after the other, each with the reason that a report gives.

    for decision in decide(folded, recipe):
        print(decision.line)             # "layer conv: first layer, 2.7 % of the weights: kept dense at 8 bits"

The first rule that fits decides:

1. `Recipe.keep` names it: left alone.
2. Depthwise: left alone.  It holds few weights, each output channel stands on nine of them, and its scales differ.
3. No convolution or dense layer (LSTM, Embedding, Conv3D, ...): left alone.
4. Fewer than 256 weights: left alone, as there is nothing to gain.
5. First or last layer with weights, of at most a tenth of all of them: left alone.  All that the network knows of its
   input, or says, passes through it.
6. All others are pruned and clustered.

Clusters are at most 32, the entries of the palette in Arm's weight compression; the int8 file is held to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.model import PALETTE, Recipe
from hil.harness.optimize.layers import KERNELS, TOUCHED, kernels, unwrapped, walk, weight_name

SMALLEST = 256
END_SHARE = 0.1
"""Weights below which a kernel is not worth it; share of all weights up to which a first or last layer is left."""
_HOLDS_WEIGHTS = (*KERNELS, "recurrent_kernel", "embeddings")


@dataclass(frozen=True)
class Decision:
    """What happens to a layer; `touched` = it is pruned and clustered."""

    layer: str
    kind: str
    weights: int
    touched: bool
    reason: str

    @property
    def line(self) -> str:
        return f"layer {self.layer}: {self.reason}"


def decide(model: Any, recipe: Recipe) -> list[Decision]:
    """One decision for each layer that has weights in a kernel, in the model's order."""
    sizes = list(_sizes(model))
    total = sum(size for _, size in sizes)
    return [
        _decided(layer, size, total, recipe, place in (0, len(sizes) - 1), "first" if place == 0 else "last")
        for place, (layer, size) in enumerate(sizes)
    ]


def touched(model: Any, recipe: Recipe) -> set[str]:
    """Names of the layers that are pruned and clustered."""
    return {decision.layer for decision in decide(model, recipe) if decision.touched}


def _sizes(model: Any) -> Iterator[tuple[Any, int]]:
    for outer in model.layers:
        weights = sum(int(np.prod(v.shape)) for v in outer.weights if weight_name(v) in _HOLDS_WEIGHTS)
        if weights:
            yield unwrapped(outer), weights


def _decided(layer: Any, size: int, total: int, recipe: Recipe, at_end: bool, end: str) -> Decision:
    kind, share = type(layer).__name__, f"{100 * size / total:.1f} % of the weights"

    def left(why: str) -> Decision:
        return Decision(layer.name, kind, size, False, f"{why}: kept dense at 8 bits")

    if layer.name in recipe.keep:
        return left("named in Recipe.keep")
    if kind.startswith("Depthwise"):
        return left(f"depthwise, {share}")
    if kind not in TOUCHED:
        return left(f"{kind} is neither pruned nor clustered, {share}")
    if size < SMALLEST:
        return left(f"only {size} weights")
    if at_end and size <= END_SHARE * total:
        return left(f"{end} layer, {share}")
    return Decision(layer.name, kind, size, True, f"{share}: pruned and clustered as the path says")


def told(step: str, before: Any, after: Any, recipe: Recipe) -> list[str]:
    """What a report says of a step: what it left alone, and what it found."""
    if step == "fold":
        return _told_of_fold(before, after)
    if not step.startswith("npu_"):
        return []
    left = [decision.line for decision in decide(after, recipe) if not decision.touched] if step in _RULED else []
    few = [f"clusters: {PALETTE} of the {recipe.clusters} asked for, as many as Vela's palette holds"]
    return [*left, *(few if "cluster" in step and recipe.clusters > PALETTE else []), *dead_channels(after)]


_RULED = ("npu_prune", "npu_cluster")
"""Steps that say what the rules leave alone: the first ones behind the fold."""


def _told_of_fold(before: Any, after: Any) -> list[str]:
    was = sum(type(layer).__name__ == "BatchNormalization" for layer in walk(before))
    norms = [layer.name for layer in after.layers if type(layer).__name__ == "BatchNormalization"]
    nested = [layer.name for layer in before.layers if hasattr(layer, "layers")]
    split = [layer.name for layer in walk(before) if type(layer).__name__ == "SeparableConv2D"]
    return [
        *(f"model {name}: replaced by its own layers" for name in nested),
        *(f"layer {name}: split into a depthwise and a pointwise convolution" for name in split),
        *([f"{was - len(norms)} of {was} batch normalizations folded"] if was else []),
        *(f"layer {name}: batch normalization not behind a convolution or dense layer, left" for name in norms),
    ]


def dead_channels(model: Any) -> list[str]:
    """A line for each layer with output channels whose weights are all zero: they give a constant, at full cost."""
    lines = []
    for layer, _, kernel in kernels(model):
        if type(layer).__name__ not in ("Conv1D", "Conv2D", "Dense"):
            continue
        dead = int(np.sum(~np.any(kernel.reshape(-1, kernel.shape[-1]), axis=0)))
        if dead:
            lines.append(f"layer {layer.name}: {dead} of {kernel.shape[-1]} output channels have only zero weights")
    return lines
