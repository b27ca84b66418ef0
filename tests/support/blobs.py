"""A repository of a user, for tests: one small model on synthetic blobs, trained in seconds."""

from __future__ import annotations

from pathlib import Path

MODEL = '''
"""Three kinds of blobs: real enough to train in seconds."""
from pathlib import Path

import numpy as np

from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe
from hil.core.errors import UnavailableError


def load(split):
    rng = np.random.default_rng(0 if split == "train" else 1)
    y = rng.integers(0, 3, 384 if split == "train" else 64)
    x = rng.normal(0, 0.6, (len(y), 8, 8, 1)).astype("float32")
    for n, kind in enumerate(y):
        x[n, 2 * kind : 2 * kind + 3, 2:6] += 0.5
    return x, y


def files():
    {missing}
    return [Path(__file__)]


def build():
    import tf_keras as keras

    layers = keras.layers
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv")(image)
    x = layers.Conv2D(16, 1, activation="relu", name="pointwise")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(layers.Flatten()(x)))


quick = FineTune(epochs=1, learning_rate=1e-3)
model = Model(
    "{name}",
    build=build,
    data=Dataset(load, files),
    recipe=Recipe(base=FineTune(4, 1e-2), qat=quick, prune=quick, pqat=quick, batch_size=32, calibration=64),
    budget=Budget(max_accuracy_drop=0.5, max_latency_ms=1.0, max_sram_bytes=65536),
    techniques=("ptq", "pqat"),
)
'''


def model_file(name: str = "blobs", missing: str = "") -> str:
    """The text of `models/NAME.py`; `missing` is a statement that says the data is not there."""
    return MODEL.replace("{name}", name).replace("{missing}", missing)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes files by relative path."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
