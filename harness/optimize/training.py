"""Training loop of the base and of every technique: Adam with cosine decay to zero, whole batches, progress."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.blame import first_cause
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.loss_kind import loss_kind
from hil.harness.model import FineTune
from hil.harness.optimize.clustering import PreservedClusters
from hil.harness.optimize.interrupt import deferred_interrupt
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.training_history import Epoch, OnEpoch

Progress = Callable[[int, int, str], None]
"""Called with (training steps done, training steps in total, text)."""
_ACCURACY = "accuracy"
REPORT_EVERY = 10
PREDICTED = 256
"""Training steps between reports; samples of a batch of predictions."""


@dataclass(frozen=True)
class TrainingData:
    """Training samples: x float32 (n, *input shape), y (n, ...)."""

    x: Array
    y: Array

    def sample(self, count: int | None, seed: int) -> TrainingData:
        """Draws `count` samples without replacement, the same ones for the same seed; returns all if None."""
        if count is None or count >= len(self.x):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.x))[:count])
        return TrainingData(self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of one training: fine-tuning, batch size, seed, loss (see `Model.loss`), progress callback and text.

    `on_epoch` is called with the figures of each epoch.  The zeros and the distinct weights of the layers `preserved`
    are preserved.
    """

    tune: FineTune
    batch_size: int
    seed: int
    loss: str | Callable[[], Any] = "logits"
    progress: Progress | None = None
    text: str = "train"
    preserved: frozenset[str] = frozenset()
    on_epoch: OnEpoch | None = None

    def steps(self, samples: int) -> int:
        """Returns the number of training steps for a data set of `samples`."""
        used = min(samples, self.tune.samples or samples)
        return self.tune.epochs * max(1, used // self.batch_size)


def keras_loss(loss: str | Callable[[], Any]) -> Any:
    """Returns the Keras loss that a model file names; raises `BadInputError` if its function gives none."""
    losses = import_keras().losses
    if callable(loss):
        try:
            made = losses.get(loss())
        except Exception as error:
            cause = f"{type(error).__name__}: {first_cause(error)}"
            hint = "loss=FUNCTION is called without arguments and returns the loss: loss=lambda: my_loss"
            raise BadInputError(f"the function loss gives no loss: {cause}", hint=hint) from error
        if made is None:
            raise BadInputError("the function loss gives None", hint="return a loss of Keras, or a function")
        return made
    if loss == "mse":
        return losses.MeanSquaredError()
    return losses.SparseCategoricalCrossentropy(from_logits=loss == "logits")


def loss_labels(model: Any, data: TrainingData, loss: str | Callable[[], Any]) -> Array:
    """Returns the labels as the loss takes them, so that none is broadcast against the outputs.

    A loss of the user's own gets them as they are, bools as 0.0 and 1.0.  Raises `BadInputError` if the labels do not
    fit the network's outputs and a loss of Keras.
    """
    labels = Labels(data.y, _output_shape(model, data.x), "training")
    kind = loss_kind(keras_loss(loss)).kind
    if kind == "classes":
        return labels.classes()
    if kind == "one-hot":
        return labels.one_hot()
    if kind in ("regression", "binary", "hinge", "direction"):
        return labels.numbers(np.float32)
    return data.y.astype(np.float32) if data.y.dtype == bool else data.y


def _output_shape(model: Any, x: Array) -> tuple[int, ...]:
    """Returns the shape of the outputs for one sample; an axis that Keras leaves open has the size it has for `x`."""
    shape = tuple(model.output_shape)[1:]
    return tuple(model(x[:1], training=False).shape)[1:] if None in shape else shape


def fit(model: Any, data: TrainingData, plan: TrainingPlan, callbacks: Sequence[Any] = ()) -> None:
    """Trains `model` in place.  Only whole batches are used; a seeded draw chooses the samples.

    Raises `BadInputError` if the samples or classes do not fit the network.  SIGINT ends the training after a batch.
    """
    keras = import_keras()
    check_samples(model, data.x)
    data = replace(data, y=loss_labels(model, data, plan.loss))
    used = data.sample(plan.tune.samples, plan.seed)
    batch = min(plan.batch_size, len(used.x))
    whole = used.sample(len(used.x) // batch * batch, plan.seed)
    total = plan.steps(len(data.x))
    rate = keras.optimizers.schedules.CosineDecay(float(plan.tune.learning_rate), max(1, total))
    loss = keras_loss(plan.loss)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=_right_answers(loss))
    model.optimizer.build(
        model.trainable_variables
    )  # else TensorFlow traces the first step twice to find its variables
    with warnings.catch_warnings(), deferred_interrupt() as pending:  # not `quiet`: a progress bar may be on stderr
        warnings.simplefilter("ignore")
        preserving = [PreservedClusters.of_model(model, plan.preserved).callback] if plan.preserved else []
        every = [*callbacks, *preserving, _after_batches(plan, total, pending)]
        model.fit(whole.x, whole.y, batch_size=batch, epochs=plan.tune.epochs, verbose=0, callbacks=every)


def _right_answers(loss: Any) -> list[Any]:
    """Returns the Keras metric of right answers for a loss; none for one without."""
    metrics, found = import_keras().metrics, loss_kind(loss)
    if found.kind == "classes":
        return [metrics.SparseCategoricalAccuracy(name=_ACCURACY)]
    if found.kind == "one-hot":
        return [metrics.CategoricalAccuracy(name=_ACCURACY)]
    threshold = 0.0 if found.from_logits else 0.5
    return [metrics.BinaryAccuracy(name=_ACCURACY, threshold=threshold)] if found.kind == "binary" else []


def predict(model: Any, x: Array, progress: Progress | None = None) -> Array:
    """Returns the float outputs (n, ...) of a network; raises `BadInputError` if samples (n, ...) do not fit it."""
    keras = import_keras()
    check_samples(model, x)
    batches = -(-len(x) // PREDICTED)

    class Reporting(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            if progress is not None:
                progress(batch + 1, batches, "predict")

    return np.asarray(model.predict(x, batch_size=PREDICTED, verbose=0, callbacks=[Reporting()]))


def check_samples(model: Any, x: Array) -> None:
    """Raises `BadInputError` unless samples (n, ...) have the input shape of the network."""
    shape = tuple(model.input_shape)[1:]
    if (
        any(size not in (None, given) for size, given in zip(shape, x.shape[1:], strict=False))
        or len(shape) != x.ndim - 1
    ):
        raise BadInputError(f"the data's samples have shape {x.shape[1:]}, the network takes {shape}")


def _after_batches(plan: TrainingPlan, total: int, pending: Callable[[], None]) -> Any:
    """Returns a Keras callback that raises a pending interrupt after a batch and reports progress every few batches."""
    keras = import_keras()

    class AfterBatches(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        done = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if plan.on_epoch is not None:
                accuracy = logs.get(_ACCURACY)
                plan.on_epoch(Epoch(float(logs["loss"]), None if accuracy is None else float(accuracy)))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pending()
            self.done += 1
            if plan.progress is not None and (self.done % REPORT_EVERY == 0 or self.done == total):
                plan.progress(self.done, total, plan.text)

    return AfterBatches()


def mask_interval(total: int) -> tuple[int, int]:
    """Returns (interval, last step) of pruning's mask updates: about 40 in the first 60 % of `total` training steps.

    The last step is a multiple of the interval, else TFMOT would never reach the final sparsity.
    """
    interval = max(1, total // 64)
    return interval, interval * max(1, math.floor(total * 0.6 / interval))
