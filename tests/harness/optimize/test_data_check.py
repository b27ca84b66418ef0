"""Data, loss and metric against a network before anything trains, and training with every form of labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples
from hil.harness.metrics.loss_kind import LossKind, loss_kind
from hil.harness.model import Dataset, FineTune, Model, Recipe
from hil.harness.optimize.data_check import check_data
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
from hil.harness.optimize.network_inputs import predict
from hil.harness.optimize.output_losses import output_losses
from hil.harness.optimize.trained_base import train_base

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(96, 6)).astype("float32")
YES = X[:, 0] > 0
SIDES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TARGETS = (X @ DRAW.normal(size=(6, 1))).astype("float32")


def network(outputs: int, activation: str | None = None) -> Callable[[], Any]:
    def build() -> Any:
        layers = import_keras().layers
        dense = [layers.Dense(16, activation="relu"), layers.Dense(outputs, activation=activation)]
        return import_keras().Sequential([layers.Input((6,)), *dense])

    return build


def keras_loss_of(name: str, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(import_keras().losses, name)(**options)


BCE = keras_loss_of("BinaryCrossentropy")


def model(build: Callable[[], Any], loss: Any = "logits", metric: Any = None) -> Model:
    recipe = Recipe(base=FineTune(epochs=25, learning_rate=2e-2), batch_size=32)
    return Model("small", build=build, data=Dataset(len, list), loss=loss, metric=metric, recipe=recipe)  # type: ignore[arg-type]


def loss_labels(build: Callable[[], Any], y: Any, loss: Any) -> Any:
    samples = Samples(X, y)
    return output_losses(build(), samples, loss).labels(samples.y)[0]


def check(of: Model, y: Any, x: Any = X, test: Any = None) -> Any:
    return check_data(of, Samples(x, y), Samples(X, y if test is None else test)).task


@pytest.mark.parametrize(
    ("build", "loss", "y", "metric", "threshold"),
    [
        (network(3), "logits", SIDES, "top1", 0.5),
        (network(3, "softmax"), "probabilities", np.eye(3)[SIDES], "top1", 0.5),
        (network(1, "sigmoid"), keras_loss_of("BinaryCrossentropy"), YES, "binary", 0.5),
        (network(1), keras_loss_of("BinaryCrossentropy", from_logits=True), YES, "binary", 0.0),
        (network(1, "sigmoid"), lambda: lambda y, p: import_keras().backend.mean((y - p) ** 2), YES, "binary", 0.5),
        (network(1), "mse", TARGETS, "r2", 0.5),
        (network(6), "mse", X, "r2", 0.5),
    ],
)
def test_the_task_of_a_network(build: Any, loss: Any, y: Any, metric: str, threshold: float) -> None:
    task = check(model(build, loss), y)
    assert (task.metric, task.threshold) == (metric, threshold)
    assert (task.kind == "reconstruction") == (y is X)


def fails(outputs: Any, y: Any) -> float:
    raise KeyError("no such column")


def of_two_classes(outputs: Any, y: Any) -> float:
    """Precision, which is 0/0 for a network that puts all samples into one class."""
    said = outputs.argmax(axis=1) == 2
    return float(np.float64((said & (y == 2)).sum()) / said.sum()) if said.any() else float("nan")


@pytest.mark.parametrize(
    ("of", "y", "line"),
    [
        (
            model(network(1, "sigmoid"), keras_loss_of("BinaryCrossentropy"), "top1"),
            YES,
            "one output is no class count",
        ),
        (model(network(1), "mse", "top1"), TARGETS, "one output is no class count"),
        (model(network(6), "mse", "top1"), X, "the labels are no classes"),
        (model(network(1, "sigmoid")), YES, "one output is no class count"),
        (model(network(3), "mse"), SIDES, "do not have the shape of the outputs"),
        (model(network(3), keras_loss_of("MeanSquaredError"), fails), TARGETS, "do not have the shape of the outputs"),
        (model(network(3), metric=fails), SIDES, "the metric fails (test_data_check.py:"),
        (model(network(3), lambda: 1 / 0), SIDES, "the function loss gives no loss: ZeroDivisionError"),
        (model(network(3), lambda: None), SIDES, "the function loss gives None"),
        (model(network(3), lambda: lambda y, p: p / 0.0), SIDES, "before training: the network gives (3,)"),
        (
            model(network(3), lambda: lambda y, p: {}["x"], fails),
            SIDES,
            "the loss <lambda> fails: the network gives (3,)",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(of: Model, y: Any, line: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(line)) as caught:
        check(of, y)
    assert "\n" not in str(caught.value)


def test_samples_that_are_not_finite_are_counted() -> None:
    x = X.copy()
    x[7, 2:4] = np.inf
    with pytest.raises(BadInputError, match="2 values are not finite in the training samples, first in sample 7"):
        check(model(network(3)), SIDES, x)


def test_samples_that_are_all_equal_are_refused() -> None:
    with pytest.raises(BadInputError, match=f"all {len(X)} training samples are equal: no range can be calibrated"):
        check(model(network(3)), SIDES, np.zeros_like(X))


def test_a_metric_that_is_undefined_for_an_untrained_network_alone_is_taken() -> None:
    assert check(model(network(3), metric=of_two_classes), SIDES).metric == "of_two_classes"


def test_the_splits_may_have_labels_of_different_forms() -> None:
    assert check(model(network(3)), np.eye(3)[SIDES], test=SIDES).metric == "top1"


@pytest.mark.parametrize("loss", ["logits", "SparseCategoricalCrossentropy", "CategoricalCrossentropy"])
def test_a_loss_of_classes_gets_every_form_of_them_as_the_same_array(loss: str) -> None:
    of = model(network(3), loss if loss == "logits" else keras_loss_of(loss, from_logits=True))
    forms = (SIDES, SIDES[:, None], SIDES.astype("uint8"), np.eye(3)[SIDES], np.eye(3, dtype=bool)[SIDES])
    taken = [loss_labels(network(3), y, of.loss) for y in forms]
    assert all(np.array_equal(taken[0], other) for other in taken)
    (outputs,) = predict(train_base(of, Samples(X, forms[3])), Samples(X, SIDES))
    assert np.mean(outputs.argmax(axis=1) == SIDES) > 0.9


def test_bools_train_a_binary_loss() -> None:
    (outputs,) = predict(train_base(model(network(1, "sigmoid"), BCE), Samples(X, YES)), Samples(X, YES))
    assert np.mean((outputs[:, 0] > 0.5) == YES) > 0.9


@pytest.mark.parametrize("y", [YES, YES.astype(int), YES[:, None], YES.astype(float)])
def test_a_binary_loss_gets_labels_of_the_outputs_shape(y: Any) -> None:
    taken = loss_labels(network(1, "sigmoid"), y, BCE)
    assert taken.dtype == np.float32
    assert np.array_equal(taken, YES.astype(np.float32)[:, None])


def test_the_kind_of_a_loss_of_keras_2_and_3() -> None:
    import_tensorflow()
    import keras as keras3

    keras2 = import_keras()

    class Mine(keras2.losses.Huber):  # type: ignore[misc, name-defined]
        """A subclass has the kind of what it extends."""

    for losses in (keras2.losses, keras3.losses):
        assert loss_kind(losses.BinaryCrossentropy(from_logits=True)) == LossKind("binary", True, "BinaryCrossentropy")
        assert loss_kind(losses.SparseCategoricalCrossentropy()).kind == "classes"
        assert loss_kind(losses.CategoricalCrossentropy()).kind == "one-hot"
        assert loss_kind(losses.mean_squared_error).kind == "regression"
        assert loss_kind(losses.CosineSimilarity()).kind == "direction"
    assert loss_kind(Mine()).kind == "regression"
    assert loss_kind(keras2.losses.get("bce")).kind == "binary"
    assert loss_kind(lambda y, p: 0).kind == "unknown"


def two_ended() -> Any:
    keras = import_keras()
    layers = keras.layers
    one, two = layers.Input((6,), name="one"), layers.Input((4,), name="two")
    x = layers.Concatenate()([one, two])
    return keras.Model([one, two], [layers.Dense(3, name="side")(x), layers.Dense(1, name="far")(x)])


@pytest.mark.parametrize(
    ("x", "y", "metric", "line"),
    [
        (X, SIDES, None, r"2 inputs \(one, two\), the samples are 1 array .*'one': \.\.\., 'two'"),
        ((X, X), SIDES, None, r"2 outputs \(side, far\), the labels are 1 array .*'side': \.\.\., 'far'"),
        ((X, X), {"side": SIDES}, None, r"samples of input two have shape \(6,\), the network takes \(4,\)"),
        ((X, X[:, :4]), (SIDES, YES), None, "side, far have labels: say of which the metric is"),
        ((X, X[:, :4]), {"side": SIDES}, {"far": "binary"}, "the metric is of the output far, which has no labels"),
        ((X, X[:, :4]), {"side": SIDES}, {"fra": "binary"}, "of fra, which is no output"),
        ((X, X[:, :4]), {"side": TARGETS}, None, "labels"),
    ],
)
def test_data_that_does_not_fit_several_inputs_and_outputs_is_one_line(x: Any, y: Any, metric: Any, line: str) -> None:
    of = model(two_ended, "logits", metric)
    with pytest.raises(BadInputError, match=line) as error:
        check_data(of, Samples(x, y), Samples(x, y))
    assert len(str(error.value).splitlines()) == 1


def test_the_only_labelled_output_is_that_of_the_metric() -> None:
    samples = Samples((X, X[:, :4]), {"side": SIDES})
    found = check_data(model(two_ended), samples, samples)
    assert (found.task.metric, found.interface.output, found.interface.outputs) == ("top1", 0, ("side", "far"))
