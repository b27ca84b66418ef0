"""MobileNetV2 of width 1: 224x224 colours -> 1,000 classes, 3.5 million weights, 301 million MACs; nothing is learned.

The network of `networks/mobilenet_v2.py` with the weights of its initializer and random images, for sizes and cycles
alone: it has no accuracy, and `hil tables` shows none.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

mobilenet_v2 = sibling(__file__, "../networks/mobilenet_v2.py")
loader = sibling(__file__, "../data/random_images.py")
with_statistics = sibling(__file__, "../networks/statistics.py").with_statistics


def build() -> Any:
    """Builds the untrained network, with batch normalization as on random images."""
    return with_statistics(mobilenet_v2.build(alpha=1.0, size=224, classes=1000))


model = Model(
    name="mobilenet_v2_224",
    build=build,
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=8,
        base=FineTune(epochs=0),
        prune=FineTune(epochs=1),
        **dict.fromkeys(("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"), FineTune(epochs=1)),
        calibration=16,
    ),
)
