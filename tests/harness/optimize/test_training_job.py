"""`Recipe.train`: the user's own training under every technique, with TFMOT's callbacks and the checks around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, LostError
from hil.harness.model import FineTune, Recipe, load_model_file
from hil.harness.optimize import steps
from hil.harness.optimize.frozen_layers import frozen_notes
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, seeded
from hil.harness.optimize.training import LearningGoal
from hil.harness.optimize.training_job import TrainingJob
from hil.harness.pipeline.step_process import is_of_file, model_as_json, model_of_json
from hil.harness.store.source_digest import source_digest, train_digest

ONCE = FineTune(1, 1e-3)
RECIPE = Recipe(batch_size=32, clusters=4, prune=ONCE, cluster=ONCE, pqat=ONCE, qat=ONCE)


@pytest.fixture(scope="module")
def dense() -> Any:
    layers = import_keras().layers
    with seeded(0):
        return import_keras().Sequential(
            [layers.Input((24,)), layers.Dense(16, name="a"), layers.ReLU(), layers.Dense(4, name="b")]
        )


@pytest.fixture(scope="module")
def samples() -> steps.Samples:
    random = np.random.default_rng(0)
    return steps.Samples(random.normal(size=(96, 24)).astype(np.float32), random.integers(0, 4, 96))


def sgd(job: TrainingJob) -> None:
    job.fit(import_keras().optimizers.SGD(0.01, momentum=0.9))


def distill(job: TrainingJob) -> None:
    """Loop of a user's own, with the outputs of the float base as its goal."""
    tf, optimizer, callbacks = import_tensorflow(), import_keras().optimizers.SGD(0.01), job.callback_list()

    @tf.function  # type: ignore[untyped-decorator, unused-ignore]
    def step(x: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((job.model(x, training=True) - job.teacher(x, training=False)) ** 2)
        weights = job.model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    callbacks.on_train_begin()
    batches = iter(job.batches)
    for epoch in range(job.settings.epochs):
        callbacks.on_epoch_begin(epoch)
        for number in range(job.steps_per_epoch):
            callbacks.on_train_batch_begin(number)
            step(next(batches)[0])
            callbacks.on_train_batch_end(number)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


@pytest.mark.parametrize("train", [sgd, distill])
def test_a_function_trains_and_zeros_and_clusters_survive(dense: Any, samples: steps.Samples, train: Any) -> None:
    goal = LearningGoal(train=train, teacher=dense)
    pruned = steps.apply_checked("prune", dense, samples, RECIPE, goal=goal)
    assert all(row.zeros >= 0.49 for row in pruned.weights)
    quantized = steps.apply_checked("pqat", pruned.model, samples, RECIPE, pruned.promises, goal)
    assert all(row.zeros >= 0.49 for row in quantized.weights)
    clustered = steps.apply_checked("npu_sparse_cluster", pruned.model, samples, RECIPE, pruned.promises, goal)
    assert all(row.unique <= 5 for row in clustered.weights if row.size >= 256)


def test_the_function_has_an_effect(dense: Any, samples: steps.Samples) -> None:
    def weights(train: Any) -> Any:
        return steps.apply("qat", dense, samples, RECIPE, LearningGoal(train=train, teacher=dense)).get_weights()

    with_sgd, with_adam, as_ever = weights(sgd), weights(lambda job: job.fit()), weights(None)
    assert all(np.array_equal(*pair) for pair in zip(with_adam, as_ever, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(with_sgd, as_ever, strict=True))


def fails(job: TrainingJob) -> None:
    raise RuntimeError("no such optimizer\nat line 4")


def forgets(job: TrainingJob) -> None:
    job.model.compile("sgd", job.loss)
    job.model.fit(job.batches.as_dataset(), steps_per_epoch=job.steps_per_epoch, verbose=0)


def forgets_the_end(job: TrainingJob) -> None:
    job.callback_list().on_train_batch_end(0)


@pytest.mark.parametrize(
    ("technique", "train", "said"),
    [
        ("qat", fails, r"qat: the function train \(fails\) of the recipe fails: RuntimeError: no such optimizer"),
        ("qat", forgets, r"qat: the function train \(forgets\) of the recipe never called on_train_batch_end of job"),
        ("qat", forgets_the_end, "of the recipe never called on_train_end of job.callbacks"),
        ("prune", forgets, r"prune: the function train \(forgets\) of the recipe "),
    ],
)
def test_a_wrong_function_is_one_line(
    dense: Any, samples: steps.Samples, technique: str, train: Callable[..., Any], said: str
) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        steps.apply(technique, dense, samples, RECIPE, LearningGoal(train=train, teacher=dense))
    assert "\n" not in str(caught.value)


def test_zeros_that_a_function_destroys_are_found(dense: Any, samples: steps.Samples) -> None:
    def without_pruning(job: TrainingJob) -> None:
        job.fit()
        for layer in job.model.layers:
            layer.set_weights([np.where(array == 0, np.float32(0.1), array) for array in layer.get_weights()])

    with pytest.raises(LostError, match="lost its zeros after prune"):
        steps.apply_checked("prune", dense, samples, RECIPE, goal=LearningGoal(train=without_pruning, teacher=dense))


MODEL_FILE = """
import tf_keras
from functools import partial
from pathlib import Path
from hil.harness.model import Dataset, Model, Recipe

RATE = 0.1

def optimizer(rate):
    return tf_keras.optimizers.SGD(rate)

def train(job, momentum):
    job.fit(optimizer(RATE))

def build():
    return tf_keras.Sequential([tf_keras.layers.Input((4,)), tf_keras.layers.Dense(2)])

model = Model("own", Dataset(lambda split: None, lambda: []), build, Recipe(seed=1, train=partial(train, momentum=0.5)))
"""


def test_the_recipe_holds_the_function_and_what_it_uses(tmp_path: Path) -> None:
    def digests(text: str, name: str) -> tuple[str, str]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(text)
        model = load_model_file(tmp_path / name / "own.py", needs_weights=False)
        assert model.recipe.train is not None
        return train_digest(model, model.recipe.train), source_digest(model)

    written = digests(MODEL_FILE, "written")
    assert digests(MODEL_FILE.replace("seed=1", "seed=2") + "# comment", "other") == written
    for number, (old, new) in enumerate(
        [("RATE = 0.1", "RATE = 0.2"), ("SGD(rate)", "SGD(2 * rate)"), ("=0.5", "=0.9")]
    ):
        changed = digests(MODEL_FILE.replace(old, new), f"changed{number}")
        assert changed[0] != written[0]


def test_another_process_gets_the_function_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODEL_FILE)
    model = load_model_file(tmp_path / "own.py", needs_weights=False)
    there = model_of_json(model_as_json(replace(model, recipe=replace(model.recipe, clusters=8))))
    assert isinstance(there.recipe.train, partial)
    assert (there.recipe.clusters, there.recipe.seed) == (8, 1)
    assert not is_of_file(replace(model, recipe=replace(model.recipe, train=sgd)))


def test_notes_name_the_frozen_layers(dense: Any) -> None:
    dense.get_layer("a").trainable = False
    try:
        assert frozen_notes("prune", dense) == ["prune: trains the frozen layer a"]
    finally:
        dense.get_layer("a").trainable = True
