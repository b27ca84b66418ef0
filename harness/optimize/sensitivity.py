"""How many zeros each layer bears: a share a layer for a wanted share of all, found on calibration samples.

    found = spread(model, data, recipe, names)
    found.sparsities                 # {"conv": 0.5, "pw1": 0.9, ...}: together recipe.sparsity of their weights
    found.losses["pw1"]              # {0.0: 0.31, 0.3: 0.31, ..., 0.95: 0.74}

Each layer alone loses its smallest weights, level by level, and the loss of the model on the samples is noted, without
any training.  Then the next level of that layer is taken, again and again, which costs the least loss for each byte of
encoded weights that it saves, until the wanted share is reached.  The same model and samples give the same shares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.model import Recipe
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.layers import walk
from hil.harness.optimize.training import TrainingData, keras_loss

LEVELS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
SAMPLES = 512
_BATCH = 128


@dataclass(frozen=True)
class Spread:
    """Share of zeros by layer, and what it was found from: loss by layer and level."""

    sparsities: dict[str, float]
    losses: dict[str, dict[float, float]]


def spread(
    model: Any, data: TrainingData, recipe: Recipe, names: Collection[str], loss: str | Callable[[], Any] = "logits"
) -> Spread:
    """Shares for the layers `names`, in the model's order; together they hold `recipe.sparsity` zeros."""
    samples = data.sample(SAMPLES, recipe.seed)
    layers = [layer for layer in walk(model) if layer.name in names]
    losses = {layer.name: _losses(model, layer, samples, loss) for layer in layers}
    sizes = {layer.name: int(np.prod(layer.kernel.shape)) for layer in layers}
    return Spread(chosen(losses, sizes, recipe.sparsity, recipe.palette), losses)


def _losses(model: Any, layer: Any, samples: TrainingData, loss: str | Callable[[], Any]) -> dict[float, float]:
    kernel = layer.kernel.numpy()
    ordered = np.sort(np.abs(kernel), axis=None)
    found = {}
    try:
        for level in LEVELS:
            threshold = ordered[min(round(level * kernel.size), kernel.size - 1)]
            layer.kernel.assign(np.where(np.abs(kernel) < threshold, np.float32(0), kernel))
            found[level] = _loss(model, samples, loss)
    finally:
        layer.kernel.assign(kernel)
    return found


def _loss(model: Any, samples: TrainingData, loss: str | Callable[[], Any]) -> float:
    tf, function, total = import_tensorflow(), keras_loss(loss), 0.0
    for start in range(0, len(samples.x), _BATCH):
        x, y = samples.x[start : start + _BATCH], samples.y[start : start + _BATCH]
        total += float(function(tf.constant(y), model(x, training=False))) * len(x)
    return total / len(samples.x)


def chosen(
    losses: dict[str, dict[float, float]], sizes: dict[str, int], wanted: float, clusters: int
) -> dict[str, float]:
    """The shares that greedy steps reach; the last one goes only as far as it has to."""
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
    """About what a kernel takes encoded: whether each weight is zero, and which value it is where it is not."""
    entropy = -sum(share * np.log2(share) for share in (zeros, 1 - zeros) if share > 0)
    return float(size * (entropy + (1 - zeros) * np.log2(clusters)) / 8)
