"""Sparsity by sensitivity: a share of zeros for each layer, chosen by the loss that its zeros cost.

    found = allocate_sparsity(model, data, recipe, names)
    found.sparsities                 # {"conv": 0.5, "pw1": 0.9, ...}: together recipe.sparsity of their weights
    found.losses["pw1"]              # {0.0: 0.31, 0.3: 0.31, ..., 0.95: 0.74}

First the smallest weights of one layer at a time are set to zero, level by level, and the loss of the model on training
samples is measured, without fine-tuning.  Then a greedy search raises the level of the layer that costs the least loss
for each byte of encoded weights that it saves, until the sparsity of the whole model is reached.  The same model and
samples give the same shares.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.data.samples import Samples
from hil.harness.model import Recipe
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.layers import flat_layers, kernel_variables
from hil.harness.optimize.network_inputs import as_inputs, as_outputs
from hil.harness.optimize.output_losses import OutputLosses, output_losses
from hil.harness.optimize.training import DEFAULT_GOAL, LearningGoal

LEVELS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
SAMPLES = 512
_BATCH = 128


@dataclass(frozen=True)
class SparsityAllocation:
    """Sparsity by layer, and the measured loss by layer and level on which it is based."""

    sparsities: dict[str, float]
    losses: dict[str, dict[float, float]]


def allocate_sparsity(
    model: Any, data: Samples, recipe: Recipe, names: Collection[str], goal: LearningGoal = DEFAULT_GOAL
) -> SparsityAllocation:
    """Allocates a sparsity to each of the layers `names`, `recipe.sparsity` over all of them; in the model's order."""
    losses_of = output_losses(model, data, goal.loss, goal.loss_weights)
    samples = data.sample(SAMPLES, recipe.seed)
    layers = [layer for layer in flat_layers(model) if layer.name in names]
    losses = {layer.name: _losses(model, layer, samples, losses_of) for layer in layers}
    sizes = {layer.name: sum(int(np.prod(kernel.shape)) for _, kernel in kernel_variables(layer)) for layer in layers}
    return SparsityAllocation(greedy_shares(losses, sizes, recipe.sparsity, recipe.palette), losses)


def _losses(model: Any, layer: Any, samples: Samples, losses: OutputLosses) -> dict[float, float]:
    kernels = [(variable, variable.numpy()) for _, variable in kernel_variables(layer)]
    found = {}
    try:
        for level in LEVELS:
            for variable, kernel in kernels:
                variable.assign(_without_smallest(kernel, level))
            found[level] = _loss(model, samples, losses)
    finally:
        for variable, kernel in kernels:
            variable.assign(kernel)
    return found


def _without_smallest(kernel: Array, share: float) -> Array:
    """Sets a share of a kernel's weights to zero, the smallest ones."""
    ordered = np.sort(np.abs(kernel), axis=None)
    threshold = ordered[min(round(share * kernel.size), kernel.size - 1)]
    return np.where(np.abs(kernel) < threshold, np.float32(0), kernel)


def _loss(model: Any, samples: Samples, losses: OutputLosses) -> float:
    """Returns the mean loss over the samples, summed over the outputs by their weights."""
    tf, total = import_tensorflow(), 0.0
    for batch in samples.chunks(_BATCH):
        outputs = as_outputs(model(as_inputs(model, batch.x), training=False))
        for function, weight, labels, output in zip(
            losses.losses, losses.weights, losses.labels(batch.y), outputs, strict=True
        ):
            if function is not None:
                total += weight * float(tf.reduce_mean(function(tf.constant(labels), output))) * len(batch)
    return total / len(samples)


def greedy_shares(
    losses: dict[str, dict[float, float]], sizes: dict[str, int], wanted: float, clusters: int
) -> dict[str, float]:
    """Raises the cheapest layer by a level until a share `wanted` of all weights is zero; the last step is partial.

    `losses` is the loss by layer and level, `sizes` the number of weights by layer.
    """
    place = dict.fromkeys(losses, 0)
    missing = wanted * sum(sizes.values())
    shares = dict.fromkeys(losses, 0.0)

    def price(name: str) -> float:
        low, high = LEVELS[place[name]], LEVELS[place[name] + 1]
        saved = encoded_bytes(sizes[name], low, clusters) - encoded_bytes(sizes[name], high, clusters)
        return max(0.0, losses[name][high] - losses[name][low]) / saved

    while missing > 0 and (open_ := [name for name in losses if place[name] + 1 < len(LEVELS)]):
        name = min(open_, key=price)
        low, high = LEVELS[place[name]], LEVELS[place[name] + 1]
        step = min((high - low) * sizes[name], missing)
        place[name] += 1
        missing -= step
        shares[name] = round(low + step / sizes[name], 6)
    return shares


def encoded_bytes(size: int, zeros: float, clusters: int) -> float:
    """Estimates a kernel's encoded bytes: the entropy of its zeros, and log2(clusters) bits for any other weight."""
    entropy = -sum(share * np.log2(share) for share in (zeros, 1 - zeros) if share > 0)
    return float(size * (entropy + (1 - zeros) * np.log2(clusters)) / 8)
