"""Small models of the kinds that users bring, each with data that it learns in seconds.

    model = KINDS["detector"]()       # a `Model` that comes from no file

`two`: two inputs and two outputs.  `detector`: classes and boxes.  `u_net`: a skip connection and a transposed
convolution, classes by pixel.  `gru`, `lstm`: keyword spotters on frames.  `mobilenet_v3`: an inverted bottleneck with
hard-swish and squeeze-and-excitation.  `tcn`: dilated causal convolutions.  `regression`, `binary`, `autoencoder`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.model import Dataset, FineTune, Model, Recipe

QUICK = FineTune(epochs=2, learning_rate=1e-3)
N = 384
Split = tuple[Any, Any]


def _random(split: str) -> np.random.Generator:
    return np.random.default_rng(1 if split == "train" else 2)


def _model(
    name: str,
    build: Callable[[], Any],
    load: Callable[[str], Split],
    epochs: int,
    tune: FineTune = QUICK,
    **options: Any,
) -> Model:
    recipe = Recipe(
        base=FineTune(epochs=epochs, learning_rate=4e-3),
        batch_size=32,
        clusters=8,
        calibration=64,
        **dict.fromkeys(("prune", "cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"), tune),  # type: ignore[arg-type]
    )
    return Model(name, build=build, data=Dataset(load, lambda: [Path(__file__)]), recipe=recipe, **options)


def _images(split: str) -> tuple[Array, Array, Array]:
    """Images with a bright square in one of four corners; its corner, and whether it is red."""
    rng = _random(split)
    corner, red = rng.integers(0, 4, N), rng.integers(0, 2, N)
    x = rng.normal(0, 0.2, (N, 16, 16, 3)).astype(np.float32)
    for image, place, colour in zip(x, corner, red, strict=True):
        top, left = 8 * (place // 2) + 2, 8 * (place % 2) + 2
        image[top : top + 4, left : left + 4, 0 if colour else 2] += 1.5
    return x, corner, red


def _frames(split: str) -> Split:
    """Sequences of 16 frames of 8 features: a pulse that rises or falls, at an unknown time."""
    rng = _random(split)
    y, start = rng.integers(0, 3, N), rng.integers(0, 8, N)
    x = rng.normal(0, 0.2, (N, 16, 8)).astype(np.float32)
    for frames, kind, begin in zip(x, y, start, strict=True):
        for step in range(8):
            if kind < 2:
                frames[begin + step, step if kind else 7 - step] += 1.5
    return x, y


def two() -> Model:
    def load(split: str) -> Split:
        x, corner, red = _images(split)
        side = _random(split).normal(size=(N, 4)).astype(np.float32)
        return {"image": x, "side": side}, {"corner": corner, "sum": side.sum(axis=1, keepdims=True) + red[:, None]}

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        image, side = layers.Input((16, 16, 3), name="image"), layers.Input((4,), name="side")
        x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="conv")(image)
        x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
        x = layers.Concatenate()([layers.Flatten()(x), layers.Dense(16, activation="relu", name="of_side")(side)])
        x = layers.Dense(32, activation="relu", name="joined")(x)
        return keras.Model([image, side], [layers.Dense(4, name="corner")(x), layers.Dense(1, name="sum")(x)])

    loss = {"corner": "logits", "sum": "mse"}
    return _model("two", build, load, 12, loss=loss, metric={"corner": "top1"})


def detector() -> Model:
    """Class scores and boxes on a grid of 2 x 2 cells."""

    def load(split: str) -> Split:
        x, corner, red = _images(split)
        cells, boxes = np.zeros((N, 2, 2), int), np.zeros((N, 2, 2, 4), np.float32)
        rows = np.arange(N)
        cells[rows, corner // 2, corner % 2] = 1 + red
        boxes[rows, corner // 2, corner % 2] = (0.5, 0.5, 0.25, 0.25)
        return x, {"kind": cells, "box": boxes}

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        image = x = layers.Input((16, 16, 3), name="image")
        for number, channels in enumerate((16, 24, 32)):
            x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}")(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        return keras.Model(image, [layers.Conv2D(3, 1, name="kind")(x), layers.Conv2D(4, 1, name="box")(x)])

    loss = {"kind": "logits", "box": "mse"}
    return _model("detector", build, load, 12, loss=loss, metric={"kind": "top1"})


def u_net() -> Model:
    def load(split: str) -> Split:
        x, _, _ = _images(split)
        return x, (x.max(axis=3) > 0.9).astype(int)

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        image = layers.Input((16, 16, 3), name="image")
        fine = layers.Conv2D(12, 3, padding="same", activation="relu", name="fine")(image)
        coarse = layers.Conv2D(24, 3, padding="same", activation="relu", name="coarse")(layers.MaxPooling2D()(fine))
        up = layers.Conv2DTranspose(12, 2, strides=2, activation="relu", name="up")(coarse)
        x = layers.Conv2D(12, 3, padding="same", activation="relu", name="joined")(layers.Concatenate()([fine, up]))
        return keras.Model(image, layers.Conv2D(2, 1, name="kind")(x))

    return _model("u_net", build, load, 4)


def mobilenet_v3() -> Model:
    def load(split: str) -> Split:
        return _images(split)[:2]

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers

        def hard_sigmoid(x: Any) -> Any:
            return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)

        def hard_swish(x: Any) -> Any:
            return layers.Multiply()([hard_sigmoid(x), x])

        image = layers.Input((16, 16, 3), name="image")
        x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
        x = hard_swish(layers.BatchNormalization(momentum=0.9)(x))
        y = layers.Conv2D(32, 1, use_bias=False, name="expand")(x)
        y = hard_swish(layers.BatchNormalization(momentum=0.9)(y))
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(y)
        y = hard_swish(layers.BatchNormalization(momentum=0.9)(y))
        weight = layers.GlobalAveragePooling2D(keepdims=True)(y)
        weight = layers.Conv2D(8, 1, activation="relu", name="squeeze")(weight)
        y = layers.Multiply()([y, hard_sigmoid(layers.Conv2D(32, 1, name="excite")(weight))])
        y = layers.BatchNormalization(momentum=0.9)(layers.Conv2D(16, 1, use_bias=False, name="project")(y))
        x = layers.Flatten()(layers.AveragePooling2D(2)(layers.Add()([x, y])))
        return keras.Model(image, layers.Dense(4, name="logits")(x))

    return _model("mobilenet_v3", build, load, 10)


def tcn() -> Model:
    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        frames = x = layers.Input((16, 8), name="frames")
        for dilation in (1, 2, 4):
            options: dict[str, Any] = {"dilation_rate": dilation, "padding": "causal", "name": f"conv{dilation}"}
            x = layers.Conv1D(24, 3, activation="relu", **options)(x)
        return keras.Model(frames, layers.Dense(3, name="logits")(layers.GlobalAveragePooling1D()(x)))

    return _model("tcn", build, _frames, 10)


def _recurrent(name: str) -> Callable[[], Model]:
    def make() -> Model:
        def build() -> Any:
            import tf_keras as keras

            layers = keras.layers
            frames = layers.Input((16, 8), name="frames")
            x = layers.Dense(16, activation="relu", name="embed")(frames)
            x = getattr(layers, name)(16, name="recurrent")(x)
            return keras.Model(frames, layers.Dense(3, name="logits")(layers.Dense(24, activation="relu", name="h")(x)))

        return _model(name.lower(), build, _frames, 16)

    return make


def regression() -> Model:
    def load(split: str) -> Split:
        x = _random(split).normal(size=(N, 12)).astype(np.float32)
        return x, (20 + 5 * x[:, :4].sum(axis=1, keepdims=True)).astype(np.float32)

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        hidden = [layers.Dense(32, activation="relu", name=f"h{number}") for number in (1, 2)]
        return keras.Sequential([layers.Input((12,)), *hidden, layers.Dense(1, name="price")])

    return _model("regression", build, load, 60, FineTune(epochs=12, learning_rate=1e-3), loss="mse")


def binary() -> Model:
    def load(split: str) -> Split:
        x, _, red = _images(split)
        return x, red

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        convolutions = [
            layers.Conv2D(size, 3, strides=2, padding="same", activation="relu", name=f"conv{size}")
            for size in (16, 32)
        ]
        head = [layers.GlobalMaxPooling2D(), layers.Dense(1, activation="sigmoid", name="is_red")]
        return keras.Sequential([layers.Input((16, 16, 3)), *convolutions, *head])

    def loss() -> Any:
        import tf_keras as keras

        return keras.losses.BinaryCrossentropy()

    return _model("binary", build, load, 10, loss=loss)


def autoencoder() -> Model:
    def load(split: str) -> Split:
        phase = _random(split).uniform(0, 6, (N, 1))
        x = np.sin(phase + np.arange(32) / 4).astype(np.float32)
        return x, x

    def build() -> Any:
        import tf_keras as keras

        layers = keras.layers
        x = frame = layers.Input((32,), name="frame")
        for number, size in enumerate((32, 8, 32)):
            x = layers.BatchNormalization(momentum=0.9)(layers.Dense(size, name=f"h{number}")(x))
            x = layers.ReLU()(x)
        return keras.Model(frame, layers.Dense(32, name="again")(x))

    return _model("autoencoder", build, load, 40, loss="mse")


KINDS: dict[str, Callable[[], Model]] = {
    "two": two,
    "detector": detector,
    "u_net": u_net,
    "gru": _recurrent("GRU"),
    "lstm": _recurrent("LSTM"),
    "mobilenet_v3": mobilenet_v3,
    "tcn": tcn,
    "regression": regression,
    "binary": binary,
    "autoencoder": autoencoder,
}
"""Name -> function that returns the model."""
