"""Keyword spotting for spoken digits: DS-CNN-S on MFCC, 49x10 -> 10 classes, 24 k weights, 2.7 million MACs.

The network of MLPerf Tiny's keyword spotting (Zhang et al., "Hello Edge", 2017) with ten classes: a 10x4 convolution,
four blocks of a depthwise 3x3 and a pointwise convolution of 64 channels.  Each weight is used 125 times, so on an
Ethos-U55 the network is bound by its MACs more than by its weights: techniques save flash rather than cycles.
Two of the six speakers are only in the test set.  The network outputs logits.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "data/spoken_digits.py")
CHANNELS = 64


def build() -> Any:
    """Builds the untrained network."""
    import tf_keras as keras

    layers = keras.layers

    def normalized(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))

    mfcc = x = layers.Input((49, 10, 1), name="mfcc")
    x = layers.Conv2D(CHANNELS, (10, 4), strides=2, padding="same", use_bias=False, name="conv")(x)
    x = layers.Dropout(0.2, name="conv_dropout")(normalized(x, "conv"))
    for block in range(1, 5):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"dw{block}")(x)
        x = normalized(x, f"dw{block}")
        x = layers.Conv2D(CHANNELS, 1, use_bias=False, name=f"pw{block}")(x)
        x = normalized(x, f"pw{block}")
    x = layers.Dropout(0.4, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(mfcc, layers.Dense(10, name="logits")(x), name="digits_dscnn")


_tune = FineTune(epochs=2, learning_rate=3e-4, samples=4000)
model = Model(
    name="digits_dscnn",
    build=build,
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=20, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=1e-3, samples=4000),
        cluster=_tune,
        sparse_cluster=_tune,
        qat=_tune,
        pqat=_tune,
        cqat=_tune,
        pcqat=_tune,
    ),
    budget=Budget(max_accuracy_drop=0.03, max_latency_ms=2.0, max_sram_bytes=96 * 1024),
    weights="weights/digits_dscnn.npz",
)
