"""Training loop of the base and of every technique: Adam with cosine decay to zero, whole batches, progress."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hil.harness.data.samples import Samples
from hil.harness.data.stratified import stratified
from hil.harness.model import FineTune, Model, Recipe
from hil.harness.optimize.clustering import PreservedClusters
from hil.harness.optimize.interrupt import deferred_interrupt
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.network_inputs import Progress, check_samples
from hil.harness.optimize.output_losses import Losses, OutputLosses, output_losses
from hil.harness.optimize.training_batches import ClassWeight, TrainingBatches
from hil.harness.optimize.training_history import Epoch, OnEpoch
from hil.harness.optimize.training_job import TrainingJob, run_job

_ACCURACY, _VALIDATION = "accuracy", "val_"
REPORT_EVERY, EVALUATED = 10, 64
"""Training steps between reports; samples of a batch of validation."""


@dataclass(frozen=True)
class LearningGoal:
    """Parts of a training that all techniques of a model share: losses, weights of outputs and classes, augmentation.

    See `Model.loss`, `Model.loss_weights`, `Recipe.class_weight`, `Dataset.augment` and `Recipe.train`, whose job gets
    the float base `teacher`.  `calibration` are the samples that set activation ranges, `validation` those that are
    evaluated after each epoch.
    """

    loss: Losses = "logits"
    loss_weights: Mapping[str, float] | None = None
    class_weight: ClassWeight = None
    augment: Callable[..., Any] | None = None
    train: Callable[[TrainingJob], None] | None = None
    teacher: Any = None
    calibration: Samples | None = None
    validation: Samples | None = None


DEFAULT_GOAL = LearningGoal()


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of one training: fine-tuning, batch size, seed, goal, progress callback and text.

    `on_epoch` is called with the figures of each epoch.  The zeros and the distinct weights of the layers `preserved`
    are preserved.
    """

    tune: FineTune
    batch_size: int
    seed: int
    goal: LearningGoal = DEFAULT_GOAL
    progress: Progress | None = None
    text: str = "train"
    preserved: frozenset[str] = frozenset()
    on_epoch: OnEpoch | None = None

    def steps(self, samples: int) -> int:
        """Returns the number of training steps for a data set of `samples`."""
        used = min(samples, self.tune.samples or samples)
        return self.tune.epochs * max(1, used // self.batch_size)


def fit(model: Any, data: Samples, plan: TrainingPlan, callbacks: Sequence[Any] = ()) -> None:
    """Trains `model` in place.  Only whole batches are used; a seeded draw chooses the samples.

    Raises `BadInputError` if the samples or labels do not fit the network.  SIGINT ends the training after a batch.
    """
    check_samples(model, data)
    losses = output_losses(model, data, plan.goal.loss, plan.goal.loss_weights)
    used = data.sample(plan.tune.samples, plan.seed)
    losses.check(used)
    batches = TrainingBatches(model, used, losses, plan.batch_size, plan.tune.epochs, plan.seed)
    batches = batches.with_goal(plan.goal.class_weight, plan.goal.augment)
    held = plan.goal.validation
    validation = None if held is None else TrainingBatches(model, held, losses, EVALUATED, 1, plan.seed)
    metrics = [_right_answers(losses, place) for place in range(len(losses.names))]
    parts = (plan.text, model, plan.goal.teacher, plan.tune, plan.seed, batches, validation, losses, metrics)
    with warnings.catch_warnings(), deferred_interrupt() as pending:  # not `quiet`: a progress bar may be on stderr
        warnings.simplefilter("ignore")
        preserving = [PreservedClusters.of_model(model, plan.preserved).callback] if plan.preserved else []
        every = [*callbacks, *preserving, _after_batches(plan, plan.steps(len(data)), pending)]
        run_job(TrainingJob(*parts, every), plan.goal.train)


def _is_accuracy(name: str, prefix: str) -> bool:
    """Returns whether a name of Keras' logs is the share of right answers, of several outputs that of any."""
    return name.endswith(_ACCURACY) and name.startswith(_VALIDATION) == bool(prefix)


def calibration_of(data: Samples, recipe: Recipe, plan: TrainingPlan) -> Samples:
    """Returns the samples that set activation ranges: those of the goal, else a draw of the training samples."""
    given = plan.goal.calibration
    return stratified(data, recipe.calibration, recipe.seed) if given is None else given


def goal_of(model: Model) -> LearningGoal:
    """Returns the goal of a model file's trainings."""
    return LearningGoal(
        model.loss, model.loss_weights, model.recipe.class_weight, model.data.augment, model.recipe.train
    )


def _right_answers(losses: OutputLosses, place: int) -> list[Any]:
    """Returns the Keras metric of right answers for an output's loss; none for one without."""
    metrics, found = import_keras().metrics, losses.kind(place)
    if found.kind == "classes":
        return [metrics.SparseCategoricalAccuracy(name=_ACCURACY)]
    if found.kind == "one-hot":
        return [metrics.CategoricalAccuracy(name=_ACCURACY)]
    threshold = 0.0 if found.from_logits else 0.5
    return [metrics.BinaryAccuracy(name=_ACCURACY, threshold=threshold)] if found.kind == "binary" else []


def _after_batches(plan: TrainingPlan, total: int, pending: Callable[[], None]) -> Any:
    """Returns a Keras callback that raises a pending interrupt after a batch and reports progress every few batches."""
    keras = import_keras()

    class AfterBatches(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        done = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}  # a loop of one's own may give none
            if plan.on_epoch is not None and "loss" in figures:
                accuracy, held = (
                    next((figures[name] for name in figures if _is_accuracy(name, prefix)), None)
                    for prefix in ("", _VALIDATION)
                )
                plan.on_epoch(Epoch(figures["loss"], accuracy, figures.get(f"{_VALIDATION}loss"), held))

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
