"""A network small enough to take every technique in seconds, with its data and its whole tree, made once a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from hil.harness.model import FineTune, Recipe
from hil.harness.optimize import steps
from hil.harness.optimize.keras.hdf5_file import load_model, save_model
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.paths import Node
from hil.harness.optimize.promises import Promise, promises_after
from hil.harness.optimize.survival import check_keras
from hil.harness.optimize.training import TrainingPlan, fit

TUNE = FineTune(epochs=2, learning_rate=1e-3)
RECIPE = Recipe(
    batch_size=32, clusters=5, prune=TUNE, cluster=TUNE, sparse_cluster=TUNE, qat=TUNE, pqat=TUNE, cqat=TUNE, pcqat=TUNE
)


def normalized(x: Any, name: str) -> Any:
    layers = import_keras().layers
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.8, name=f"{name}_bn")(x))


def small_network() -> Any:
    """Convolution, depthwise, pointwise 32 -> 24, dense: one of each kind that the rules tell apart."""
    keras = import_keras()
    layers = keras.layers
    image = x = layers.Input((8, 8, 1), name="image")
    x = normalized(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv")(x), "conv")
    x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw")(x), "dw")
    x = normalized(layers.Conv2D(24, 1, use_bias=False, name="pw")(x), "pw")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(4, name="logits")(x), name="small")


def trained(network: Any, data: steps.Samples, epochs: int = 6) -> Any:
    with seeded(0):
        fit(network, data, TrainingPlan(FineTune(epochs, 3e-3), 32, 0))
    return network


@dataclass
class Tree:
    """Keras models by node of the deployment tree, trained when first asked for, by one worker of a parallel run."""

    data: steps.Samples
    recipe: Recipe
    network: Callable[[], Any]
    folder: Path
    models: dict[Node, Any] = field(default_factory=dict)

    def model(self, node: Node) -> Any:
        if node not in self.models:
            path = self.folder / f"{'-'.join(node) or 'base'}.h5"
            before = self.model(node[:-1]) if node and not path.exists() else None
            self.folder.mkdir(exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                if not path.exists():
                    made = steps.apply(node[-1], before, self.data, self.recipe) if node else self.network()
                    save_model(made, path.with_suffix(".part"))
                    path.with_suffix(".part").rename(path)
            self.models[node] = load_model(path)
        return self.models[node]

    def promises(self, node: Node) -> tuple[Promise, ...]:
        if not node:
            return ()
        return promises_after(node[-1], self.model(node[:-1]), self.promises(node[:-1]), self.recipe)

    def check(self, node: Node, after: Any, recipe: Recipe | None = None) -> list[LayerWeights]:
        """Checks another model than the tree's as the result of the last step of a node."""
        return check_keras(self.model(node[:-1]), after, self.promises(node), node[-1], recipe or self.recipe)


@pytest.fixture(scope="session")
def data() -> steps.Samples:
    """Four textures in noise."""
    random = np.random.default_rng(0)
    textures = random.normal(size=(4, 8, 8, 1))
    classes = random.integers(0, 4, 384)
    images = textures[classes] + random.normal(size=(384, 8, 8, 1))
    return steps.Samples(images.astype(np.float32), classes)


@pytest.fixture(scope="session")
def tree(data: steps.Samples, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    def network() -> Any:
        with seeded(1):
            return trained(small_network(), data)

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base  # each worker has a folder of its own
    return Tree(data, RECIPE, network, shared / "optimize-tree")
