"""Rules by which the techniques for the NPU prune, cluster or spare each layer, with the reason for the report.

    for decision in decide(model, recipe):
        print(decision.line)   # "layer conv: first layer, 2.7 % of the weights: not pruned, at most 32 values"

The first rule that fits decides:

1. `Recipe.keep` names the layer: neither pruned nor clustered.
2. No convolution, depthwise, dense or recurrent layer (Embedding, Conv3D, ...): neither.
3. Fewer than 256 weights: neither, as there is nothing to gain.
4. Depthwise: neither, since each channel depends on nine weights.  With 32 values in these as well, `npu_cluster` of
   a keyword spotter lost 1.3 points (three seeds) for 4 % of its encoded weights.
5. First or last layer with weights, of at most a tenth of all weights: not pruned, since all information about the
   input or the result passes through it; clustered to 32 values.
6. All others are pruned, and clustered to `Recipe.clusters`.

The palette of Arm's weight compression has 32 values; the int8 file is checked against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.model import PALETTE, Recipe
from hil.harness.optimize.canonical.network import rewriting_notes
from hil.harness.optimize.float_layers import float_notes
from hil.harness.optimize.layers import KERNELS, flat_layers, is_prunable, kernels, unwrap, weight_name
from hil.harness.optimize.paths import QUANTIZING

SMALLEST = 256
END_SHARE = 0.1
"""Least number of weights of a kernel to change; largest share of all weights of a first or last layer to spare."""
_HOLDS_WEIGHTS = (*KERNELS, "embeddings")


@dataclass(frozen=True)
class Decision:
    """Treatment of a layer: `pruned`, number of `clusters` (None = not clustered), and the reason."""

    layer: str
    kind: str
    weights: int
    pruned: bool
    clusters: int | None
    reason: str

    @property
    def line(self) -> str:
        return f"layer {self.layer}: {self.reason}"


def decide(model: Any, recipe: Recipe) -> list[Decision]:
    """Decides for each layer that has a kernel, in the model's order."""
    sizes = list(_sizes(model))
    total = sum(size for _, size in sizes)
    last = len(sizes) - 1
    return [
        _decided(layer, size, size / total, {0: "first", last: "last"}.get(place, ""), recipe)
        for place, (layer, size) in enumerate(sizes)
    ]


def pruned_layers(model: Any, recipe: Recipe) -> set[str]:
    """Returns the names of the layers to prune."""
    return {decision.layer for decision in decide(model, recipe) if decision.pruned}


def clustered_layers(model: Any, recipe: Recipe) -> dict[str, int]:
    """Returns layer -> number of clusters, for the layers to cluster."""
    return {found.layer: found.clusters for found in decide(model, recipe) if found.clusters is not None}


def _sizes(model: Any) -> Iterator[tuple[Any, int]]:
    for outer in model.layers:
        weights = sum(int(np.prod(v.shape)) for v in outer.weights if weight_name(v) in _HOLDS_WEIGHTS)
        if weights:
            yield unwrap(outer), weights


def _decided(layer: Any, size: int, share: float, end: str, recipe: Recipe) -> Decision:
    kind, of_all = type(layer).__name__, f"{100 * share:.1f} % of the weights"

    def made(pruned: bool, clusters: int | None, reason: str) -> Decision:
        return Decision(layer.name, kind, size, pruned, clusters, reason)

    spared = f"not pruned, at most {PALETTE} values"
    if layer.name in recipe.keep:
        return made(False, None, "named in Recipe.keep, kept dense at 8 bits")
    if not is_prunable(layer, ()) and kind != "DepthwiseConv2D":
        return made(False, None, f"{kind}, {of_all}: neither pruned nor clustered")
    if size < SMALLEST:
        return made(False, None, f"only {size} weights, kept dense at 8 bits")
    if kind == "DepthwiseConv2D":
        return made(False, None, f"depthwise, {of_all}: kept dense at 8 bits")
    if end and share <= END_SHARE:
        return made(False, PALETTE, f"{end} layer, {of_all}: {spared}")
    return made(True, recipe.palette, f"{of_all}: pruned and clustered as the path says")


def step_notes(step: str, before: Any, after: Any, recipe: Recipe) -> list[str]:
    """Describes for a report, in lines, the layers that a step spared, replaced or folded, and dead channels."""
    lines = [f"model {layer.name}: replaced by its own layers" for layer in before.layers if hasattr(layer, "layers")]
    lines += rewriting_notes(before, after)
    if step == "fold":
        return [*lines, *_fold_notes(before, after)]
    here = {layer.name for layer in flat_layers(after)}
    gone = [layer.name for layer in flat_layers(before) if type(layer).__name__ == "BatchNormalization"]
    lines += [f"layer {name}: folded into the layer before it" for name in gone if name not in here]
    if step in QUANTIZING:
        lines += float_notes(step, after)
    if not step.startswith("npu_"):
        return lines
    left = [decision.line for decision in decide(after, recipe) if not decision.pruned] if step in _RULED else []
    few = [f"clusters: {PALETTE} of the {recipe.clusters} asked for, as many as Vela's palette holds"]
    return [*lines, *left, *(few if "cluster" in step and recipe.clusters > PALETTE else []), *dead_channels(after)]


_LEFT = "batch normalization with no convolution or dense layer of its own before it, left"
_RULED = ("npu_prune", "npu_cluster")
"""Steps whose notes list the layers that the rules spare: the first step of a path that the rules concern."""


def _fold_notes(before: Any, after: Any) -> list[str]:
    was = sum(type(layer).__name__ == "BatchNormalization" for layer in flat_layers(before))
    norms = [layer.name for layer in after.layers if type(layer).__name__ == "BatchNormalization"]
    return [
        *([f"{was - len(norms)} of {was} batch normalizations folded"] if was else []),
        *(f"layer {name}: {_LEFT}" for name in norms),
    ]


def dead_channels(model: Any) -> list[str]:
    """Describes each layer that has output channels with only zero weights: constant outputs, computed at full cost."""
    lines = []
    for layer, _, kernel in kernels(model):
        if type(layer).__name__ not in ("Conv1D", "Conv2D", "Dense"):
            continue
        dead = int(np.sum(~np.any(kernel.reshape(-1, kernel.shape[-1]), axis=0)))
        if dead:
            lines.append(f"layer {layer.name}: {dead} of {kernel.shape[-1]} output channels have only zero weights")
    return lines
