"""One training loop for the base and for every technique: Adam, a cosine to zero, whole batches, progress."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.model import FineTune
from hil.harness.optimize.interrupt import deferred_interrupt
from hil.harness.optimize.keras.keras2 import import_keras

Progress = Callable[[int, int, str], None]
"""Called with (training steps done, in all, what is running)."""
REPORT_EVERY = 10


@dataclass(frozen=True)
class TrainingData:
    """Training samples: x float32 (n, *input shape), y (n, ...)."""

    x: Array
    y: Array

    def sample(self, count: int | None, seed: int) -> TrainingData:
        """`count` samples drawn without replacement, the same ones for the same seed; all if None."""
        if count is None or count >= len(self.x):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.x))[:count])
        return TrainingData(self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class TrainingPlan:
    """How one training runs: its settings, batch size, loss (see `Model.loss`), and whom to tell."""

    tune: FineTune
    batch_size: int
    seed: int
    loss: str | Callable[[], Any] = "logits"
    progress: Progress | None = None
    text: str = "train"

    def steps(self, samples: int) -> int:
        """Training steps for a data set of `samples`."""
        used = min(samples, self.tune.samples or samples)
        return self.tune.epochs * max(1, used // self.batch_size)


def keras_loss(loss: str | Callable[[], Any]) -> Any:
    """The Keras loss that a model file names."""
    losses = import_keras().losses
    if callable(loss):
        return loss()
    if loss == "mse":
        return losses.MeanSquaredError()
    return losses.SparseCategoricalCrossentropy(from_logits=loss == "logits")


def fit(model: Any, data: TrainingData, plan: TrainingPlan, callbacks: Sequence[Any] = ()) -> None:
    """Trains `model` in place.  Samples beyond the last whole batch are left out of each epoch, by a fixed draw.

    Raises `BadInputError` if the samples or classes do not fit the network.  SIGINT ends it after a batch.
    """
    keras = import_keras()
    check_samples(model, data.x)
    if plan.loss in ("logits", "probabilities"):
        _check_classes(model, data.y)
    used = data.sample(plan.tune.samples, plan.seed)
    batch = min(plan.batch_size, len(used.x))
    whole = used.sample(len(used.x) // batch * batch, plan.seed)
    total = plan.steps(len(data.x))
    rate = keras.optimizers.schedules.CosineDecay(plan.tune.learning_rate, max(1, total))
    model.compile(keras.optimizers.Adam(rate), keras_loss(plan.loss))
    model.optimizer.build(
        model.trainable_variables
    )  # else TensorFlow traces the first step twice to find its variables
    with warnings.catch_warnings(), deferred_interrupt() as pending:  # not `quiet`: a progress bar may be on stderr
        warnings.simplefilter("ignore")
        every = [*callbacks, _after_batches(plan, total, pending)]
        model.fit(whole.x, whole.y, batch_size=batch, epochs=plan.tune.epochs, verbose=0, callbacks=every)


def check_samples(model: Any, x: Array) -> None:
    """Raises `BadInputError` unless samples (n, ...) are of the shape that the network takes."""
    shape = tuple(model.input_shape)[1:]
    if (
        any(size not in (None, given) for size, given in zip(shape, x.shape[1:], strict=False))
        or len(shape) != x.ndim - 1
    ):
        raise BadInputError(f"the data's samples have shape {x.shape[1:]}, the network takes {shape}")


def _check_classes(model: Any, y: Array) -> None:
    """Classes are numbers below the network's count of outputs; any other would train on nonsense."""
    classes = model.output_shape[-1]
    if y.size and not (np.issubdtype(y.dtype, np.number) and y.min() >= 0 and y.max() < classes):
        raise BadInputError(f"the data's classes are {y.min()} to {y.max()}, the network knows 0 to {classes - 1}")


def _after_batches(plan: TrainingPlan, total: int, pending: Callable[[], None]) -> Any:
    """A Keras callback: after a batch the training can be interrupted; every few batches it reports."""
    keras = import_keras()

    class AfterBatches(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pending()
            self.done += 1
            if plan.progress is not None and (self.done % REPORT_EVERY == 0 or self.done == total):
                plan.progress(self.done, total, plan.text)

    return AfterBatches()


def mask_interval(total: int) -> tuple[int, int]:
    """(interval, last step) at which pruning updates its masks: about 40 times in the first 60 % of the training.

    The last step is a multiple of the interval, else TFMOT would never reach the final sparsity.
    """
    interval = max(1, total // 64)
    return interval, interval * max(1, math.floor(total * 0.6 / interval))
