"""Models whose task is none of classes, as a user takes them through `hil tree` and `hil optimize`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hil.harness.store.store import Store
from tests.support.blobs import write
from tests.support.forked import hil

TEXT = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, FineTune, Model, Recipe

R = np.random.default_rng(0)
x = R.normal(size=(400, 8)).astype("float32")
TASKS = {
    "sigmoid": (1, "sigmoid", x[:, 0] + x[:, 1] > -1),
    "regression": (1, None, x @ R.normal(size=(8, 1))),
    "autoencoder": (8, None, x),
}
outputs, activation, y = TASKS["TASK"]


def load(split):
    return (x[:300], y[:300]) if split == "train" else (x[300:], y[300:])


def build():
    import tf_keras as keras

    layers = keras.layers
    hidden = layers.Dense(16, activation="relu")
    return keras.Sequential([layers.Input((8,)), hidden, layers.Dense(outputs, activation=activation)])


def bce():
    import tf_keras

    return tf_keras.losses.BinaryCrossentropy()


recipe = Recipe(base=FineTune(epochs=60, learning_rate=1e-2), batch_size=32, calibration=50)
model = Model(
    "net", build=build, data=Dataset(load, lambda: [Path(__file__)]), recipe=recipe, loss=bce if activation else "mse"
)
"""


def run(folder: Path, task: str, *command: str, metric: str = "") -> subprocess.CompletedProcess[str]:
    text = TEXT.replace("TASK", task).replace('"net", ', f'"net", {metric}')
    write(folder, {"models/net.py": text})
    return hil(*command, "--store", "store", cwd=folder)


@pytest.mark.parametrize(
    ("task", "metric", "least"),
    [("sigmoid", "binary", 0.9), pytest.param("autoencoder", "r2", 0.7, marks=pytest.mark.nightly)],
)
def test_the_default_metric_is_that_of_the_task(tmp_path: Path, task: str, metric: str, least: float) -> None:
    done = run(tmp_path, task, "tree", "net", "--technique", "ptq", "--json", "--max-accuracy-drop", "0.1")
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = {m["name"]: m for m in json.loads(done.stdout)["leaves"][0]["measurements"]}
    assert figures["accuracy"]["note"] == f"{metric} of 100 test samples"
    for name in ("accuracy", "keras_accuracy", "base_accuracy"):
        assert figures[name]["value"] > least  # the share of label 0 is 0.24
    assert figures["accuracy_drop_low"]["value"] <= figures["accuracy_drop"]["value"]
    assert figures["accuracy_drop"]["value"] <= figures["accuracy_drop_high"]["value"]


@pytest.mark.parametrize(
    ("task", "command"),
    [
        ("sigmoid", ("tree", "net", "--technique", "ptq")),
        pytest.param("regression", ("optimize", "net", "-o", "net.tflite"), marks=pytest.mark.nightly),
    ],
)
def test_top1_without_classes_is_refused_before_anything_trains(
    tmp_path: Path, task: str, command: tuple[str, ...]
) -> None:
    done = run(tmp_path, task, *command, metric='metric="top1", ')
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "the network gives" in line]
    assert "the test labels are" in line
    assert "Traceback" not in done.stderr
    assert {artifact.step for artifact in Store(tmp_path / "store").artifacts()} <= {"data"}
