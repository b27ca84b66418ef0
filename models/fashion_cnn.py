"""A small image classifier for Fashion-MNIST: 28x28 grey -> 10 classes, 51 k weights, 0.95 million MACs.

Three strided convolutions reduce the image to 4x4; most weights are in the layers after them, which use each weight 16
times.  On an Ethos-U55 such a layer is bound by reading its weights, so fewer bytes of encoded weights save cycles.
The network outputs logits (no softmax).  No convolution has a bias: batch normalization has one.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "data/fashion_mnist.py")


def build() -> Any:
    """Builds the untrained network."""
    import tf_keras as keras

    layers = keras.layers

    def normalized(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))

    image = x = layers.Input((28, 28, 1), name="image")
    for name, channels in (("conv1", 16), ("conv2", 32), ("conv3", 64)):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False, name=name)(x)
        x = normalized(x, name)
    x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw4")(x), "dw4")
    for name in ("pw4", "pw5"):
        x = normalized(layers.Conv2D(128, 1, use_bias=False, name=name)(x), name)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x), name="fashion_cnn")


model = Model(
    name="fashion_cnn",
    build=build,
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=128,
        base=FineTune(epochs=15, learning_rate=3e-3),
        prune=FineTune(epochs=2, learning_rate=1e-3, samples=20_000),
        cluster=FineTune(epochs=1, learning_rate=5e-4, samples=20_000),
        sparse_cluster=FineTune(epochs=1, learning_rate=5e-4, samples=20_000),
        qat=FineTune(epochs=1, learning_rate=3e-4, samples=20_000),
        pqat=FineTune(epochs=1, learning_rate=3e-4, samples=20_000),
        cqat=FineTune(epochs=1, learning_rate=3e-4, samples=20_000),
        pcqat=FineTune(epochs=1, learning_rate=3e-4, samples=20_000),
    ),
    budget=Budget(max_accuracy_drop=0.02, max_latency_ms=1.0, max_sram_bytes=64 * 1024),
    weights="weights/fashion_cnn.npz",
)
