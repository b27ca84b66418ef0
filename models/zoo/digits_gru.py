"""A GRU on spoken digits: MFCC 49x10 -> 10 classes, 78 k weights, 3.7 million MACs.

One layer of 154 units, the small GRU of Zhang et al., "Hello Edge", arXiv 1711.07128, 2017 (78.8 KB, 3.8 million
operations for 25 frames; here 49 frames as for the DS-CNN).  The last state is classified; the network gives logits.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "../data/spoken_digits.py")
UNITS = 154


def build() -> Any:
    """Builds the untrained network."""
    import tf_keras as keras

    layers = keras.layers
    mfcc = layers.Input((49, 10, 1), name="mfcc")
    x = layers.GRU(UNITS, name="gru")(layers.Reshape((49, 10), name="frames")(mfcc))
    x = layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(mfcc, layers.Dense(10, name="logits")(x), name="digits_gru")


model = Model(
    name="digits_gru",
    build=build,
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        sparsity=0.7,
        base=FineTune(epochs=30, learning_rate=2e-3),
        prune=FineTune(epochs=12, learning_rate=1e-3, samples=4000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=6, learning_rate=3e-4, samples=4000),
        ),
    ),
)
