"""Keyword spotting for spoken digits: DS-CNN-L on MFCC, 49x10 -> 10 classes, 407 k weights, 28 million MACs.

The largest network of Zhang et al., "Hello Edge", 2017: a 10x4 convolution and five blocks of a depthwise 3x3 and a
pointwise convolution, of 276 channels.  94 % of its weights are in the pointwise kernels, and each of those is used 65
times: where weights come from a slow flash the NPU waits for them.  The data are those of `models/digits_dscnn.py`: two
of the six speakers are only in the test set.  The network gives logits.

It stands here and not in `models/`, because a run of the project's tests would train it: minutes each time.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "../../models/data/spoken_digits.py")
CHANNELS = 276
BLOCKS = 5


def build() -> Any:
    """The untrained network."""
    import tf_keras as keras

    layers = keras.layers

    def normalized(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))

    mfcc = x = layers.Input((49, 10, 1), name="mfcc")
    x = layers.Conv2D(CHANNELS, (10, 4), strides=(2, 1), padding="same", use_bias=False, name="conv")(x)
    x = layers.Dropout(0.2, name="conv_dropout")(normalized(x, "conv"))
    for block in range(1, BLOCKS + 1):
        strides = 2 if block == 1 else 1
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=f"dw{block}")(x)
        x = normalized(x, f"dw{block}")
        x = layers.Conv2D(CHANNELS, 1, use_bias=False, name=f"pw{block}")(x)
        x = normalized(x, f"pw{block}")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(mfcc, layers.Dense(10, name="logits")(x), name="digits_dscnn_l")


_tune = FineTune(epochs=2, learning_rate=3e-4, samples=4000)
model = Model(
    name="digits_dscnn_l",
    build=build,
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=12, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=1e-3, samples=4000),
        cluster=_tune,
        sparse_cluster=_tune,
        qat=_tune,
        pqat=_tune,
        cqat=_tune,
        pcqat=_tune,
        sparsity=0.8,
        clusters=16,
    ),
)
