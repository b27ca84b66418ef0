"""One training loop for the base and for every technique: Adam, a cosine to zero, whole batches, progress."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.model import Array, FineTune
from hil.harness.optimize.keras2 import import_keras

Progress = Callable[[int, int, str], None]
"""Called with (training steps done, in all, what is running)."""
REPORT_EVERY = 10


@dataclass(frozen=True)
class Data:
    """Training samples: x float32 (n, *input shape), y (n, ...)."""

    x: Array
    y: Array

    def sample(self, count: int | None, seed: int) -> Data:
        """`count` samples drawn without replacement, the same ones for the same seed; all if None."""
        if count is None or count >= len(self.x):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.x))[:count])
        return Data(self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class Plan:
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


def fit(model: Any, data: Data, plan: Plan, callbacks: Sequence[Any] = ()) -> None:
    """Trains `model` in place.  Samples beyond the last whole batch are left out of each epoch, by a fixed draw."""
    keras = import_keras()
    used = data.sample(plan.tune.samples, plan.seed)
    batch = min(plan.batch_size, len(used.x))
    whole = used.sample(len(used.x) // batch * batch, plan.seed)
    total = plan.steps(len(data.x))
    rate = keras.optimizers.schedules.CosineDecay(plan.tune.learning_rate, max(1, total))
    model.compile(keras.optimizers.Adam(rate), keras_loss(plan.loss))
    model.optimizer.build(
        model.trainable_variables
    )  # else TensorFlow traces the first step twice to find its variables
    extra = [] if plan.progress is None else [_report(plan.progress, total, plan.text)]
    with warnings.catch_warnings():  # not `quiet`: a progress bar may be on the same stderr
        warnings.simplefilter("ignore")
        model.fit(
            whole.x, whole.y, batch_size=batch, epochs=plan.tune.epochs, verbose=0, callbacks=[*callbacks, *extra]
        )


def _report(progress: Progress, total: int, text: str) -> Any:
    """A Keras callback that reports every few steps and at the end."""
    keras = import_keras()

    class Report(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done % REPORT_EVERY == 0 or self.done == total:
                progress(self.done, total, text)

    return Report()


def mask_interval(total: int) -> tuple[int, int]:
    """(interval, last step) at which pruning updates its masks: about 40 times in the first 60 % of the training.

    The last step is a multiple of the interval, else TFMOT would never reach the final sparsity.
    """
    interval = max(1, total // 64)
    return interval, interval * max(1, math.floor(total * 0.6 / interval))
