"""Loss and accuracy of each epoch: for every kind of labels that a loss takes, and at the state of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.harness.data.samples import Samples
from hil.harness.model import FineTune
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.training import LearningGoal, TrainingPlan, fit
from hil.harness.optimize.training_history import Epoch

N = 64
CLASSES = np.arange(N) % 3
X = np.eye(3, dtype=np.float32)[CLASSES]


def loss(name: str, **options: Any) -> Any:
    return lambda: getattr(import_keras().losses, name)(**options)


def history(y: Array, outputs: int, of: Any, x: Array = X) -> list[Epoch]:
    """The epochs of a linear network, which separates the classes well; it begins at zero, so its answers are fixed."""
    keras = import_keras()
    linear = keras.layers.Dense(outputs, kernel_initializer="zeros")
    network = keras.Sequential([keras.layers.Input(x.shape[1:]), linear])
    epochs: list[Epoch] = []
    fit(network, Samples(x, y), TrainingPlan(FineTune(3, 0.3), 16, 0, LearningGoal(of), on_epoch=epochs.append))
    assert len(epochs) == 3
    assert epochs[-1].loss < epochs[0].loss
    return epochs


@pytest.mark.parametrize(
    ("y", "outputs", "of"),
    [
        (CLASSES, 3, "logits"),
        (CLASSES.reshape(-1, 1), 3, "logits"),
        (np.eye(3)[CLASSES], 3, "logits"),
        (CLASSES, 3, loss("CategoricalCrossentropy", from_logits=True)),
        ((CLASSES == 0).reshape(-1, 1), 1, loss("BinaryCrossentropy", from_logits=True)),
        (np.eye(3)[CLASSES], 3, loss("BinaryCrossentropy", from_logits=True)),
    ],
)
def test_right_answers_are_counted_for_losses_of_classes(y: Array, outputs: int, of: Any) -> None:
    found = [epoch.accuracy for epoch in history(y, outputs, of)]
    assert found[-1] == 1


def test_every_pixel_has_an_answer() -> None:
    x, y = np.tile(X[:, None, None], (1, 2, 2, 1)), np.tile(CLASSES[:, None, None], (1, 2, 2))
    assert history(y, 3, "logits", x)[-1].accuracy == 1


@pytest.mark.parametrize(("of", "y"), [("mse", X), (loss("Hinge"), np.where(X > 0, 1, -1))])
def test_a_loss_of_numbers_has_no_right_answers(of: Any, y: Array) -> None:
    assert {epoch.accuracy for epoch in history(y, 3, of)} == {None}
