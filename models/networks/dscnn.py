"""DS-CNN, a keyword spotter of depthwise separable convolutions, in its three published sizes.

    build = functools.partial(dscnn.build, "l", classes=10)

A 10x4 convolution over MFCC of 49 frames by 10 coefficients, then blocks of a depthwise 3x3 and a pointwise
convolution, each with batch normalization and ReLU, then the mean.  Source: Zhang et al., "Hello Edge", arXiv
1711.07128, 2017, with the sizes that ARM-software/ML-KWS-for-MCU trains (`train_commands.txt`).  The paper counts 5.4,
19.8 and 56.9 million operations for S, M and L: two for a MAC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """Channels of all convolutions, number of blocks, and strides of the first convolution and the first block."""

    channels: int
    blocks: int
    first_strides: tuple[int, int]
    block_strides: int


SIZES = {"s": Size(64, 4, (2, 2), 1), "m": Size(172, 4, (2, 1), 2), "l": Size(276, 5, (2, 1), 2)}


def build(size: str, classes: int, activation: str | None = None) -> Any:
    """Builds the untrained network; its last layer gives logits, or what `activation` makes of them."""
    import tf_keras as keras

    layers, of = keras.layers, SIZES[size]

    def normalized(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))

    mfcc = x = layers.Input((49, 10, 1), name="mfcc")
    x = layers.Conv2D(of.channels, (10, 4), strides=of.first_strides, padding="same", use_bias=False, name="conv")(x)
    x = layers.Dropout(0.2, name="conv_dropout")(normalized(x, "conv"))
    for block in range(1, of.blocks + 1):
        strides = of.block_strides if block == 1 else 1
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=f"dw{block}")(x)
        x = normalized(x, f"dw{block}")
        x = layers.Conv2D(of.channels, 1, use_bias=False, name=f"pw{block}")(x)
        x = normalized(x, f"pw{block}")
    x = layers.Dropout(0.4, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(mfcc, layers.Dense(classes, activation, name="logits")(x), name=f"dscnn_{size}")
