"""MobileNetV1 of any width and input size.

    build = functools.partial(mobilenet_v1.build, alpha=0.25, size=96, classes=2)

A 3x3 convolution and thirteen blocks of a depthwise 3x3 and a pointwise convolution, each with batch normalization and
ReLU6, then the mean.  Source: Howard et al., "MobileNets", arXiv 1704.04861, 2017, table 1; of width 1 at 224x224 it
has 4.2 million parameters and 569 million MACs, of width 0.25 0.5 and 41 million (tables 6 and 7).
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import sibling

spare = sibling(__file__, "strides.py").spare

FIRST = 32
"""Channels of the first convolution."""
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels and strides of each block."""


def build(
    alpha: float,
    size: int,
    classes: int,
    *,
    spared: int = 0,
    bias: bool = False,
    limit: float | None = 6.0,
    activation: str | None = None,
) -> Any:
    """Builds the untrained network of width `alpha` for images (size, size, 3).

    The first `spared` of its five strides of two are one, which fits small images.  `bias` gives each convolution one
    beside batch normalization's, `limit` is ReLU's (None: none), as MLPerf Tiny's network has them.  The last layer
    gives logits, or what `activation` makes of them.
    """
    import tf_keras as keras

    layers = keras.layers
    first, *strides = spare([2, *(strides for _channels, strides in BLOCKS)], spared)

    def normalized(x: Any, name: str) -> Any:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(limit, name=f"{name}_relu")(x)

    image = x = layers.Input((size, size, 3), name="image")
    x = layers.Conv2D(int(FIRST * alpha), 3, strides=first, padding="same", use_bias=bias, name="conv")(x)
    x = normalized(x, "conv")
    for number, ((channels, _strides), stride) in enumerate(zip(BLOCKS, strides, strict=True), 1):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=bias, name=f"dw{number}")(x)
        x = normalized(x, f"dw{number}")
        x = layers.Conv2D(int(channels * alpha), 1, use_bias=bias, name=f"pw{number}")(x)
        x = normalized(x, f"pw{number}")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(classes, activation, name="logits")(x)
    return keras.Model(image, x, name=f"mobilenet_v1_{alpha:g}_{size}")
