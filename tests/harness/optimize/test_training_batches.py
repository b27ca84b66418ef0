"""Batches of a training: the same for a seed, new in each epoch, augmented, weighted, of several inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples
from hil.harness.model import FineTune
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.output_losses import output_losses
from hil.harness.optimize.training import LearningGoal, TrainingPlan, fit
from hil.harness.optimize.training_batches import TrainingBatches, weights_by_class
from hil.harness.optimize.training_history import Epoch

X = np.arange(40, dtype=np.uint8)[:, None]
CLASSES = np.repeat([0, 1], [30, 10])


def network(outputs: int = 1) -> Any:
    keras = import_keras()
    layers = keras.layers
    one, two = layers.Input((1,), name="one"), layers.Input((2,), name="two")
    inputs: Any = [one, two] if outputs > 1 else one
    x = layers.Concatenate()(inputs) if outputs > 1 else one
    heads = [layers.Dense(2, name="kind")(x), layers.Dense(3, name="place")(x)]
    return keras.Model(inputs, heads if outputs > 1 else heads[0])


def batches(samples: Samples, seed: int = 0, goal: LearningGoal | None = None, **options: Any) -> list[Any]:
    made = network()
    losses = output_losses(made, samples, "logits")
    found = TrainingBatches(made, samples, losses, 8, 2, seed)
    return list(found.with_goal(None, None) if goal is None else found.with_goal(goal.class_weight, goal.augment))


def rows(found: list[Any]) -> list[list[int]]:
    return [sorted(int(value) for batch in found[start : start + 5] for value in batch[0].ravel()) for start in (0, 5)]


def test_each_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    found = batches(Samples(X, CLASSES))
    assert len(found) == 10
    assert found[0][0].shape == (8, 1)
    assert found[0][0].dtype == np.float32
    assert rows(found) == [list(range(40))] * 2
    assert not np.array_equal(found[0][0], found[5][0])
    again = batches(Samples(X, CLASSES))
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(found, again, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(found[0], batches(Samples(X, CLASSES), 1)[0], strict=True))


def test_the_labels_stay_with_their_samples() -> None:
    for x, y in batches(Samples(X, CLASSES)):
        assert np.array_equal(CLASSES[x.ravel().astype(int)], y)


def test_weights_of_samples_and_classes_multiply() -> None:
    samples = Samples(X, CLASSES, np.where(X.ravel() == 0, 0.0, 1.0).astype(np.float32))
    for x, y, weights in batches(samples, goal=LearningGoal(class_weight={0: 1.0, 1: 3.0})):
        assert np.allclose(weights, np.where(y == 1, 3.0, 1.0) * (x.ravel() > 0))


@pytest.mark.parametrize("labels", [CLASSES, np.eye(2)[CLASSES]])
def test_balanced_gives_each_class_the_same_sum(labels: Any) -> None:
    samples = Samples(X, labels)
    _, weights = weights_by_class(samples, output_losses(network(), samples, "logits"), "balanced")
    assert weights == {0: pytest.approx(40 / 60), 1: pytest.approx(2.0)}


def test_class_weights_that_fit_nothing_are_one_line() -> None:
    samples = Samples(X, CLASSES)
    losses = output_losses(network(), samples, "logits")
    with pytest.raises(BadInputError, match="no weight for the class 1"):
        weights_by_class(samples, losses, {0: 1.0})
    numbers = Samples(X, np.ones((40, 2)))
    with pytest.raises(BadInputError, match="needs one output with classes, the network has 0"):
        weights_by_class(numbers, output_losses(network(), numbers, "mse"), "balanced")


def test_augmentation_gets_the_data_as_it_is_and_a_random_generator() -> None:
    seen: list[Any] = []

    def shifted(x: Any, y: Any, random: np.random.Generator) -> Any:
        seen.append((x.dtype, random.integers(1 << 30)))
        return x + np.uint8(100), y

    found = batches(Samples(X, CLASSES), goal=LearningGoal(augment=shifted))
    assert rows(found) == [list(range(100, 140))] * 2
    assert {kind for kind, _ in seen} == {np.dtype(np.uint8)}
    assert len({number for _, number in seen}) == 10


def breaks(*_: Any) -> Any:
    raise ValueError("no such image")


@pytest.mark.parametrize(
    ("augment", "line"),
    [
        (breaks, "the augmentation breaks fails: ValueError: no such image"),
        (lambda x, y, _: (x[1:], y), "changes shapes"),
        (lambda x, *_: x, "fails"),
    ],
)
def test_an_augmentation_that_fails_is_one_line_of_the_training(augment: Any, line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        fit(network(), Samples(X, CLASSES), TrainingPlan(FineTune(1), 8, 0, LearningGoal(augment=augment)))


def test_no_epoch_trains_nothing() -> None:
    made = network()
    before = [weight.copy() for weight in made.get_weights()]
    fit(made, Samples(X, CLASSES), TrainingPlan(FineTune(0), 8, 0))
    assert all(np.array_equal(now, then) for now, then in zip(made.get_weights(), before, strict=True))


def test_two_inputs_and_two_outputs_train_with_a_loss_each_and_are_validated() -> None:
    rng = np.random.default_rng(0)
    x = {"two": rng.normal(size=(256, 2)), "one": rng.normal(size=(256, 1))}
    y = {"place": np.hstack([x["one"], x["two"]]), "kind": (x["two"][:, 0] > 0).astype(int)}
    made, epochs = network(2), list[Epoch]()
    samples = Samples(x, y).arranged(made.input_names, made.output_names)
    losses, held = {"kind": "logits", "place": "mse"}, samples.sample(64, 0)
    goal = LearningGoal(losses, {"place": 2.0}, validation=held)
    plan = TrainingPlan(FineTune(40, 3e-2), 32, 0, goal, on_epoch=epochs.append)
    fit(made, samples, plan)
    last = epochs[-1]
    assert last.loss < epochs[0].loss / 10
    assert (last.accuracy or 0) > 0.95
    assert (last.validation_loss or 9) < epochs[0].loss / 10
    assert (last.validation_accuracy or 0) > 0.9


def test_an_output_without_labels_is_left_alone() -> None:
    made = network(2)
    before = made.get_layer("place").get_weights()[0].copy()
    samples = Samples({"one": X, "two": np.hstack([X, X])}, {"kind": CLASSES})
    fit(made, samples.arranged(made.input_names, made.output_names), TrainingPlan(FineTune(1, 1e-2), 8, 0))
    assert np.array_equal(made.get_layer("place").get_weights()[0], before)


@pytest.mark.parametrize(
    ("loss", "weights", "line"),
    [
        ({"kind": "logits"}, None, "output place has labels and no loss"),
        ({"kind": "logits", "places": "mse"}, None, "given for places, which is no output"),
        ("mse", {"kinds": 1.0}, "given for kinds"),
        ({"kind": "mse", "place": "mse"}, None, "labels of kind are"),
    ],
)
def test_losses_that_do_not_fit_the_outputs_are_one_line(loss: Any, weights: Any, line: str) -> None:
    made = network(2)
    samples = Samples((X, np.hstack([X, X])), (CLASSES, np.ones((40, 3)))).arranged(made.input_names, made.output_names)
    with pytest.raises(BadInputError, match=line):
        output_losses(made, samples, loss, weights).check(samples)
