"""A regression of eight inputs whose targets lie between 5 and 95: an output that TFMOT's first range cuts off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.model import Dataset, FineTune, Model, Recipe


def build() -> Any:
    """Builds the untrained network."""
    import tf_keras as keras

    layers = keras.layers
    hidden = [layers.Dense(32, activation="relu", name=name) for name in ("first", "second")]
    return keras.Sequential([layers.Input((8,)), *hidden, layers.Dense(1, name="target")])


def load(split: str) -> tuple[Array, Array]:
    """Draws the samples of a split: a smooth step of a random direction."""
    random = np.random.default_rng(0)
    direction = random.normal(size=(8, 1)) / 2
    x = random.normal(size=(3000, 8)).astype(np.float32)
    y = (50 + 45 * np.tanh(x @ direction)).astype(np.float32)
    return (x[:2000], y[:2000]) if split == "train" else (x[2000:], y[2000:])


def negative_error(outputs: Array, y: Array) -> float:
    """Mean absolute error, negative: larger is better."""
    return -float(np.mean(np.abs(outputs - y)))


_tune = FineTune(epochs=2, learning_rate=3e-4)
model = Model(
    name="range_regression",
    build=build,
    loss="mse",
    metric=negative_error,
    data=Dataset(load, lambda: [Path(__file__)]),
    recipe=Recipe(
        base=FineTune(epochs=60, learning_rate=1e-2),
        prune=FineTune(epochs=10, learning_rate=3e-3),
        cluster=FineTune(epochs=10, learning_rate=3e-3),
        sparse_cluster=FineTune(epochs=10, learning_rate=3e-3),
        qat=_tune,
        pqat=_tune,
        cqat=_tune,
        pcqat=_tune,
    ),
)
