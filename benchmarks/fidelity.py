"""Signal to quantization noise of int8 files, right ones and ones broken on purpose: what the fidelity gate is set by.

    python -m benchmarks.fidelity                      # the networks below, a row each
    python -m benchmarks.fidelity --only residual deep

The leaves of each network are made by the pipeline, the broken files from copies of the base: an activation dropped, a
kernel's channels reversed, two channels exchanged, a bias dropped, or a kernel 1.5 times as large, in each layer once.
A figure counts where the noise is more than a step of the output (`hil.harness.optimize.fidelity`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import HilError
from hil.harness.model import Dataset, FineTune, Model, Recipe
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.fidelity import COMPARED, Fidelity, measure_fidelity, shortfall
from hil.harness.optimize.keras.hdf5_file import load_model
from hil.harness.optimize.keras.keras2 import import_keras, quiet
from hil.harness.optimize.paths import PATHS, conversion, path_of, training_node
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import KERAS
from hil.harness.store.store import Store

SAMPLES, CLASSES = 2000, 6
TUNE = FineTune(epochs=2, samples=1000)
PUBLISHED = {"resnet8": ((32, 32, 3), "resnet8.h5"), "ad01": ((640,), "ad01.h5")}
"""MLPerf Tiny's trained networks by name: shape of a sample, and file in the folder `models/keras` of HIL_TEST_DATA."""


def networks() -> dict[str, tuple[tuple[int, ...], Callable[[Any, Any], Any], str]]:
    """Shape of a sample, the layers as a function of Keras' `layers` and an input, and the loss, by name."""
    return {
        "plain": ((12, 12, 3), _plain, "logits"),
        "residual": ((12, 12, 3), _residual, "logits"),
        "separable": ((12, 12, 3), _separable, "logits"),
        "inverted": ((12, 12, 3), _inverted, "logits"),
        "deep": ((12, 12, 3), _deep, "logits"),
        "softmax": ((12, 12, 3), lambda layers, x: layers.Softmax()(_plain(layers, x)), "probabilities"),
        "tanh": ((16,), lambda layers, x: layers.Dense(CLASSES)(_dense(layers, x, "tanh")), "logits"),
        "dense": ((16,), lambda layers, x: layers.Dense(CLASSES)(_dense(layers, x, "relu")), "logits"),
        "regression": ((16,), lambda layers, x: layers.Dense(1)(_dense(layers, x, "relu")), "mse"),
        "autoencoder": (
            (16,),
            lambda layers, x: layers.Dense(16)(_dense(layers, layers.Dense(4)(_dense(layers, x, "relu")), "relu")),
            "mse",
        ),
        "sequence": ((24, 4), _sequence, "logits"),
    }


def _normed(layers: Any, x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))


def _plain(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = _normed(layers, layers.Conv2D(16, 3, use_bias=False)(x))
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))


def _residual(layers: Any, x: Any) -> Any:
    x = _normed(layers, layers.Conv2D(12, 3, padding="same")(x))
    y = layers.Conv2D(12, 3, padding="same")(_normed(layers, layers.Conv2D(12, 3, padding="same", use_bias=False)(x)))
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([x, y]))))


def _separable(layers: Any, x: Any) -> Any:
    x = _normed(layers, layers.Conv2D(12, 3, strides=2, padding="same")(x))
    x = _normed(layers, layers.DepthwiseConv2D(3, padding="same")(x))
    x = _normed(layers, layers.Conv2D(16, 1)(x))
    return layers.Dense(CLASSES)(layers.Flatten()(x))


def _inverted(layers: Any, x: Any) -> Any:
    x = _normed(layers, layers.Conv2D(8, 3, padding="same", strides=2)(x))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(24, 1)(x)))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y)))
    x = layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(8, 1)(y))])
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))


def _deep(layers: Any, x: Any) -> Any:
    for _ in range(14):
        x = _normed(layers, layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))


def _dense(layers: Any, x: Any, activation: str) -> Any:
    return layers.Dense(24, activation=activation)(layers.Dense(24, activation=activation)(x))


def _sequence(layers: Any, x: Any) -> Any:
    x = layers.Conv1D(12, 3, activation="relu")(x)
    return layers.Dense(CLASSES)(layers.Flatten()(layers.MaxPooling1D(2)(x)))


def drawn_model(name: str) -> Model:
    """A network of this page with data that it can learn: classes or numbers of a random linear map of the samples."""
    if name in PUBLISHED:
        shape, file = PUBLISHED[name]
        return _model(name, shape, _published_file(file), "mse" if name == "ad01" else "probabilities")
    shape, head, loss = networks()[name]

    def build() -> Any:
        keras = import_keras()
        image = keras.layers.Input(shape)
        return keras.Model(image, head(keras.layers, image))

    return _model(name, shape, build, loss)


def _published_file(name: str) -> Path:
    return Path(os.environ["HIL_TEST_DATA"], "models", "keras", name)


def _model(name: str, shape: tuple[int, ...], build: Any, loss: str) -> Model:
    random = np.random.default_rng(0)
    x = random.normal(size=(SAMPLES, *shape)).astype(np.float32)
    mixed = x.reshape(SAMPLES, -1) @ random.normal(size=(x[0].size, CLASSES)) / np.sqrt(x[0].size)
    if name in ("autoencoder", "ad01"):
        y: Array = x
    else:
        y = (20 * mixed[:, :1] + 50).astype(np.float32) if loss == "mse" else mixed.argmax(axis=1)
    tunes = dict.fromkeys(("prune", "cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"), TUNE)
    recipe = Recipe(batch_size=32, base=FineTune(epochs=6), calibration=100, **tunes)
    return Model(name, Dataset(lambda split: (x, y), lambda: []), build, recipe, loss=loss, path=Path(__file__))


def broken(model: Any) -> Iterator[tuple[str, Any]]:
    """Copies of a Keras model, each with one fault in one layer, and the kind of the fault."""
    for layer in model.layers:
        if type(layer).__name__ == "ReLU" or layer.get_config().get("activation") in ("relu", "tanh"):
            yield "activation dropped", _copy(model, linear=layer.name)
        names = [variable.name for variable in layer.weights]
        for kind, suffix, change in (
            ("channels reversed", "kernel:0", lambda w: w[..., ::-1, :] if w.shape[-1] == 1 else w[..., ::-1]),
            ("two channels exchanged", "kernel:0", _exchanged),
            ("kernel 1.5 times as large", "kernel:0", lambda w: w * 1.5),
            ("bias dropped", "bias:0", np.zeros_like),
        ):
            for place, name in enumerate(names):
                if name.endswith(suffix):
                    made = _copy(model)
                    weights = layer.get_weights()
                    weights[place] = change(weights[place])
                    made.get_layer(layer.name).set_weights(weights)
                    yield kind, made


def _exchanged(kernel: Array) -> Array:
    if kernel.shape[-1] < 2:
        return kernel
    order = np.arange(kernel.shape[-1])
    order[:2] = 1, 0
    return kernel[..., order]


def _copy(model: Any, linear: str = "") -> Any:
    keras = import_keras()

    def copied(layer: Any) -> Any:
        if layer.name != linear:
            return type(layer).from_config(layer.get_config())
        if type(layer).__name__ == "ReLU":
            return keras.layers.Activation("linear", name=layer.name)
        return type(layer).from_config({**layer.get_config(), "activation": "linear"})

    made = keras.models.clone_model(model, clone_function=copied)
    made.set_weights(model.get_weights())
    return made


def figure(found: Fidelity) -> float | None:
    """The worst figure of an output whose noise is more than a step, in dB; None if there is none."""
    return min((db for db, steps in zip(found.db, found.steps, strict=True) if steps > 1), default=None)


def rows_of(model: Model, pipeline: Pipeline) -> Iterator[tuple[str, Fidelity]]:
    """Figures of all leaves and all broken files of a model, `ptq` first."""
    x = pipeline.calibration(model).x
    for leaf in PATHS:
        try:
            node = training_node(path_of(leaf))
            keras_model = load_model(pipeline.keras(model, node).path(KERAS))
            int8 = to_tflite(keras_model, conversion(path_of(leaf)), x)
        except HilError as error:
            print(f"  {model.name} {leaf}: {error}", flush=True)
            continue
        yield leaf, measure_fidelity(int8, keras_model, [array[:COMPARED] for array in x])
    base = load_model(pipeline.keras(model, ()).path(KERAS))
    for kind, made in broken(base):
        with quiet():
            yield kind, measure_fidelity(to_tflite(made, "ptq", x), base, [array[:COMPARED] for array in x])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NETWORK")
    options = parser.parse_args()
    published = PUBLISHED if os.environ.get("HIL_TEST_DATA") else ()
    found: dict[str, list[tuple[float | None, float, bool]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or (*networks(), *published):
            pipeline = Pipeline(Store(Path(folder, name)), isolated=False)
            ptq: float | None = None
            for kind, fidelity in rows_of(drawn_model(name), pipeline):
                ptq = fidelity.sqnr_db if kind == "ptq" else ptq
                refused = bool(shortfall(fidelity, None if kind == "ptq" else ptq))
                found.setdefault(kind, []).append((figure(fidelity), (ptq or 0) - fidelity.sqnr_db, refused))
                steps = max(fidelity.steps)
                line = f"{name:12} {kind:26} {fidelity.sqnr_db:6.1f} dB, {steps:6.2f} steps"
                print(line + ("  refused" if refused else ""), flush=True)
    print(f"\n{'':26} {'files':>5} {'refused':>7}  dB where the noise is more than a step, and below ptq")
    for kind, rows in found.items():
        shown = [(db, below) for db, below, _ in rows if db is not None]
        text = ""
        if shown:
            low, high = min(db for db, _ in shown), max(db for db, _ in shown)
            text = f"{low:6.1f} to {high:5.1f}, at most {max(below for _, below in shown):5.1f} below"
        print(f"{kind:26} {len(rows):5} {sum(refused for *_, refused in rows):7}  {text}")


if __name__ == "__main__":
    main()
