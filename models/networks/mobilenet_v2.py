"""MobileNetV2 of any width and input size.

    build = functools.partial(mobilenet_v2.build, alpha=0.35, size=32, classes=10, spared=2)

A 3x3 convolution, seventeen inverted residuals (a pointwise convolution that widens, a depthwise 3x3, a pointwise one
that narrows without activation, and a sum with the input where the shapes are equal), a pointwise convolution and the
mean.  Source: Sandler et al., "MobileNetV2", arXiv 1801.04381, 2018, table 2; of width 1 at 224x224 it has 3.4 million
parameters and 300 million MACs (table 4).
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import sibling

spare = sibling(__file__, "strides.py").spare

FIRST, LAST = 32, 1280
"""Channels of the first and of the last convolution; the last has at least these."""
GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, number of blocks, and strides of the first of them, which is 1 in the others."""
BLOCKS = [
    (expansion, channels, strides if block == 0 else 1)
    for expansion, channels, blocks, strides in GROUPS
    for block in range(blocks)
]
"""Expansion, channels and strides of each block."""


def channels_of(alpha: float, channels: int) -> int:
    """Returns the multiple of 8 nearest to `alpha` times `channels`, at least 8 and not below nine tenths of it."""
    wanted = alpha * channels
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


def build(alpha: float, size: int, classes: int, *, spared: int = 0) -> Any:
    """Builds the untrained network of width `alpha` for images (size, size, 3); it gives logits.

    The first `spared` of its five strides of two are one, which fits small images.
    """
    import tf_keras as keras

    layers = keras.layers
    first, *strides = spare([2, *(strides for _expansion, _channels, strides in BLOCKS)], spared)

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    def active(x: Any, name: str) -> Any:
        return layers.ReLU(6.0, name=f"{name}_relu")(normalized(x, name))

    def pointwise(x: Any, channels: int, name: str) -> Any:
        return layers.Conv2D(channels, 1, use_bias=False, name=name)(x)

    image = x = layers.Input((size, size, 3), name="image")
    wide = channels_of(alpha, FIRST)
    x = layers.Conv2D(wide, 3, strides=first, padding="same", use_bias=False, name="conv")(x)
    x = active(x, "conv")
    for number, ((expansion, channels, _strides), stride) in enumerate(zip(BLOCKS, strides, strict=True), 1):
        before, narrow = x, channels_of(alpha, channels)
        if expansion > 1:
            x = active(pointwise(x, expansion * wide, f"expand{number}"), f"expand{number}")
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"dw{number}")(x)
        x = active(x, f"dw{number}")
        x = normalized(pointwise(x, narrow, f"project{number}"), f"project{number}")
        if x.shape == before.shape:
            x = layers.Add(name=f"add{number}")([before, x])
        wide = narrow
    x = active(pointwise(x, max(LAST, channels_of(alpha, LAST)), "last"), "last")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=f"mobilenet_v2_{alpha:g}_{size}")
