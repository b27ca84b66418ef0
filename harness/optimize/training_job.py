"""Training of one network, as `Recipe.train` gets it: the user's own function in place of the harness' training.

    import tf_keras

    def train(job: TrainingJob) -> None:
        job.fit(tf_keras.optimizers.SGD(0.01, momentum=0.9))

The function trains `job.model` in place.  `job.callbacks` has the callbacks of TFMOT and of the harness, which every
training needs: `job.fit` passes them on, so does `fit(callbacks=job.callbacks)`, and a loop of one's own calls them
through `job.callback_list()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.model import FineTune
from hil.harness.optimize.graph_optimizer import brief_training
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.output_losses import OutputLosses
from hil.harness.optimize.training_batches import TrainingBatches

_HINT = "a function of a TrainingJob that trains job.model in place with job.callbacks"
_PASS_ON = "call job.fit(...), pass callbacks=job.callbacks to fit, or call job.callback_list() in a loop of your own"


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """One training.  `technique` is its name, "base" for the float base.

    `model` is the Keras 2 network, with the wrappers of TFMOT; `teacher` the float base, None where that is trained.
    `batches` iterates over (x, y) or (x, y, weights) of all epochs, `steps_per_epoch` to each; `validation` over one
    epoch, None without such samples.  `callbacks` are those of TFMOT and of the harness.
    """

    technique: str
    model: Any
    teacher: Any
    settings: FineTune
    seed: int
    batches: TrainingBatches
    validation: TrainingBatches | None
    losses: OutputLosses
    metrics: Sequence[Any]
    callbacks: Sequence[Any]

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.batches.steps

    @property
    def steps(self) -> int:
        """Training steps of all epochs."""
        return self.settings.epochs * self.steps_per_epoch

    @property
    def loss(self) -> Any:
        """Keras loss of the network, a list of them for several outputs."""
        return self._one_or_all(self.losses.losses)

    def schedule(self) -> Any:
        """Returns the learning rate that techniques have by default: a cosine from `settings.learning_rate` to 0."""
        decay = import_keras().optimizers.schedules.CosineDecay
        return decay(float(self.settings.learning_rate), max(1, self.steps))

    def callback_list(self) -> Any:
        """Returns the callbacks as one object of Keras, whose `on_train_begin`, `on_train_batch_begin` ... call all."""
        return import_keras().callbacks.CallbackList(
            list(self.callbacks), model=self.model, epochs=self.settings.epochs
        )

    def fit(self, optimizer: Any = None, callbacks: Sequence[Any] = ()) -> None:
        """Trains as without `Recipe.train`, with another `optimizer` than Adam and further `callbacks`, if given."""
        model, several = self.model, len(self.losses.names) > 1
        model.compile(
            import_keras().optimizers.Adam(self.schedule()) if optimizer is None else optimizer,
            self.loss,
            loss_weights=self.losses.weights if several else None,
            metrics=self._one_or_all(self.metrics),
        )
        _make_variables(model)
        length: dict[str, Any] = {"steps_per_epoch": self.steps_per_epoch, "epochs": self.settings.epochs}
        if self.validation is not None:
            length |= {"validation_data": self.validation.as_dataset(), "validation_steps": self.validation.steps}
        every = [*self.callbacks, *callbacks]
        if self.settings.epochs:  # none trains nothing, which Keras refuses
            model.fit(self.batches.as_dataset(), **length, verbose=0, callbacks=every)

    def _one_or_all(self, values: Sequence[Any]) -> Any:
        return list(values) if len(self.losses.names) > 1 else values[0]


def _make_variables(model: Any) -> None:
    """Makes the variables of optimizer, losses and metrics: else TensorFlow traces the first step a second time."""
    model.optimizer.build(model.trainable_variables)
    model.compiled_loss.build(model.output)
    model.compiled_metrics.build(model.output, model.output)


def run_job(job: TrainingJob, function: Callable[[TrainingJob], None] | None) -> None:
    """Trains by `function`, or by `job.fit`.

    Raises `BadInputError` if the function fails, or ran no step with the callbacks.
    """
    counted = _counter()
    watched = replace(job, callbacks=(*job.callbacks, counted)) if function else job
    try:
        with brief_training(job.steps):
            function(watched) if function else job.fit()
    except HilError:
        raise
    except Exception as error:
        if job.batches.failure or function is None:
            raise (job.batches.failure or error) from None
        cause = f"{type(error).__name__}: {first_cause(error)}"
        raise BadInputError(f"{job.technique}: {_name(function)} of the recipe fails: {cause}", hint=_HINT) from error
    if function and job.steps and not (counted.steps and counted.ended):
        missed = "on_train_end" if counted.steps else "on_train_batch_end"
        line = f"{job.technique}: {_name(function)} of the recipe never called {missed} of job.callbacks"
        raise BadInputError(line, hint=_PASS_ON)


def _name(function: Any) -> str:
    return f"the function train ({getattr(function, '__name__', type(function).__name__)})"


def _counter() -> Any:
    """Returns a Keras callback that counts training steps and notes the end of the training."""

    class Counter(import_keras().callbacks.Callback):  # type: ignore[misc]
        steps, ended = 0, False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.steps += 1

        def on_train_end(self, logs: Any = None) -> None:
            self.ended = True

    return Counter()
