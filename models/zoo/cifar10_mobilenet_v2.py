"""MobileNetV2 of width 0.35 on CIFAR-10: 32x32 colours -> 10 classes, 423 k weights, 15.6 million MACs.

The network of `networks/mobilenet_v2.py`, whose first two strides are one, so that its last maps are 4x4.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

mobilenet_v2 = sibling(__file__, "../networks/mobilenet_v2.py")
loader = sibling(__file__, "../data/cifar10.py")

model = Model(
    name="cifar10_mobilenet_v2",
    build=partial(mobilenet_v2.build, alpha=0.35, size=32, classes=10, spared=2),
    data=Dataset(loader.load, loader.files, augment=loader.augment),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=8, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=5e-4, samples=10_000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=2e-4, samples=10_000),
        ),
    ),
)
