"""ResNet8 on CIFAR-10: 32x32 colours -> 10 classes, 79 k weights, 12.5 million MACs.

The network of MLPerf Tiny's image classification.  MLPerf Tiny's trained one (`resnet8.h5`, Apache-2.0; 87.2 % of the
test images in float) is the base where the machine has it; else the same network is trained.  Images are from 0 to 255;
the outputs are probabilities.  Source: mlcommons/tiny, `benchmark/training/image_classification/keras_model.py`.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "../data/cifar10.py")
published = sibling(__file__, "../networks/published.py").published


def build() -> Any:
    """Builds the untrained network: a convolution, and three residual blocks of two of 16, 32 and 64 channels."""
    import tf_keras as keras

    layers = keras.layers

    def convolution(x: Any, channels: int, size: int, strides: int, name: str) -> Any:
        decay = keras.regularizers.l2(1e-4)
        settings = {"kernel_initializer": "he_normal", "kernel_regularizer": decay}
        return layers.Conv2D(channels, size, strides=strides, padding="same", name=name, **settings)(x)

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    image = x = layers.Input((32, 32, 3), name="image")
    x = layers.ReLU(name="conv_relu")(normalized(convolution(x, 16, 3, 1, "conv"), "conv"))
    for block, (channels, strides) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
        y = normalized(convolution(x, channels, 3, strides, f"conv{block}a"), f"conv{block}a")
        y = convolution(layers.ReLU(name=f"conv{block}a_relu")(y), channels, 3, 1, f"conv{block}b")
        y = normalized(y, f"conv{block}b")
        if strides > 1:
            x = convolution(x, channels, 1, strides, f"shortcut{block}")
        x = layers.ReLU(name=f"block{block}_relu")(layers.Add(name=f"add{block}")([x, y]))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(10, activation="softmax", kernel_initializer="he_normal", name="classes")(x)
    return keras.Model(image, x, name="resnet8")


model = Model(
    name="cifar10_resnet8",
    build=published("resnet8.h5", build),
    data=Dataset(loader.load, loader.files, augment=loader.augment),
    loss="probabilities",
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=30, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=5e-4, samples=20_000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=2e-4, samples=20_000),
        ),
    ),
)
