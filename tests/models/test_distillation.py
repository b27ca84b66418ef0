"""The zoo's training by distillation: techniques give what the float base gives, not only what the labels say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.harness.model import FineTune, Recipe, sibling
from hil.harness.optimize import steps
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.training import LearningGoal

from .conftest import FOLDER

LONG = FineTune(20, 1e-2)
RECIPE = Recipe(batch_size=32, sparsity=0.75, clusters=16, prune=LONG, sparse_cluster=LONG, pcqat=LONG)


def network(seed: int) -> Any:
    layers = import_keras().layers
    with seeded(seed):
        return import_keras().Sequential(
            [
                layers.Input((24,)),
                layers.Dense(64, activation="relu", kernel_initializer="he_normal", name="a"),
                layers.Dense(4, activation="softmax", kernel_initializer=import_keras().initializers.RandomNormal()),
            ]
        )


@pytest.fixture(scope="module")
def distill() -> Any:
    """The function of the model file; it is loaded without trained bases of others, like the whole zoo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HIL_TEST_DATA", raising=False)
        return sibling(str(FOLDER / "x"), "zoo/cifar10_resnet8_distilled.py").distill


@pytest.fixture(scope="module")
def teacher() -> Any:
    made = network(seed=1)
    made.layers[-1].set_weights([3 * np.sign(made.layers[-1].get_weights()[0]), np.zeros(4, np.float32)])
    return made


@pytest.fixture(scope="module")
def samples() -> steps.Samples:
    """Labels that say nothing of the teacher: one class for all."""
    x = np.random.default_rng(0).normal(size=(512, 24)).astype(np.float32)
    return steps.Samples(x, np.zeros(512, np.int64))


@pytest.mark.parametrize("technique", [pytest.param("prune", marks=pytest.mark.nightly), "npu_pcqat"])
def test_a_technique_follows_the_float_base(distill: Any, teacher: Any, samples: steps.Samples, technique: str) -> None:
    def agreement(train: Any) -> float:
        goal = LearningGoal("probabilities", train=train, teacher=teacher)
        trained = steps.apply(technique, network(seed=2), samples, RECIPE, goal)
        (x,) = samples.x
        return float(np.mean(trained.predict(x, verbose=0).argmax(1) == teacher.predict(x, verbose=0).argmax(1)))

    assert agreement(distill) > 0.7
    assert agreement(None) < 0.5
