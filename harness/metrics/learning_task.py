"""Learning task of a model: the metric that is defined for its outputs, labels and loss.

    task = learning_task(None, Labels(y, (1,)), LossKind("binary"), inputs=(8,), activation="sigmoid")
    task.metric, task.threshold          # "binary", 0.5

Without a metric of the model file, it follows from the task: `top1` for classes, `binary` for labels 0 and 1 of the
outputs' shape, `r2` for numbers of the outputs' shape.  What is not defined raises `BadInputError`, whose line names
both shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.metrics.labels import Labels, Shape
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.model import Metric, MetricFunction, Scale
from hil.harness.model.metric import own_metric, scale_of

_GIVE_METRIC = "give the model file a metric: a function of (outputs, labels)"


@dataclass(frozen=True)
class LearningTask:
    """Kind of a task, its metric, and the shape of the network's `outputs` for one sample.

    `kind` is "classes", "binary", "regression", "reconstruction" (regression of the inputs' shape) or "own", where the
    metric is the model file's own.  `metric` "binary" counts an output above `threshold` as yes.
    """

    kind: str
    metric: str
    outputs: Shape
    threshold: float = 0.5
    own: Metric | None = None

    @property
    def scale(self) -> Scale:
        """Unit and direction of the metric's values."""
        return scale_of(self.metric) if self.own is None else self.own.scale

    def as_json(self) -> dict[str, Any]:
        """Converts the task to JSON, without `own`."""
        return {**asdict(replace(self, own=None)), "outputs": list(self.outputs)}

    @staticmethod
    def from_json(record: Mapping[str, Any], own: Metric | None = None) -> LearningTask:
        """Reads what `as_json` wrote; `own` is the model file's metric."""
        return LearningTask(**{**record, "outputs": tuple(record["outputs"]), "own": own})

    def labels(self, y: Array) -> Array:
        """Labels (n, ...) in the form that the metric takes; those of a metric of the user's own stay as they are."""
        if self.own is not None:
            return y
        return _FORMS[self.metric](Labels(y, self.outputs))


def learning_task(
    metric: str | Metric | MetricFunction | None,
    labels: Labels,
    loss: LossKind,
    inputs: Shape = (),
    activation: str = "",
) -> LearningTask:
    """Finds the task of a model from its test labels.

    `inputs` is the shape of an input sample, `activation` the name of the last activation, empty if unknown.  Raises
    `BadInputError` if the metric is not defined for the outputs and labels, or if none follows from them.
    """
    if (own := own_metric(metric)) is not None:
        name = str(getattr(own.function, "__name__", type(own.function).__name__))
        return LearningTask("own", name, labels.outputs, own=own)
    threshold = _threshold(loss, activation)
    name = str(metric) if metric else _metric_of(labels, loss)
    if name == "top1":
        labels.classes()
        return LearningTask("classes", name, labels.outputs)
    if name == "binary":
        return _binary(labels, loss, threshold)
    if name == "auc":
        _require_both(_one_score(labels), labels)
        return LearningTask("binary", name, labels.outputs)
    return _regression(labels, loss, inputs, activation)


def _metric_of(labels: Labels, loss: LossKind) -> str:
    """Returns the name of the metric that follows from labels and loss."""
    if loss.is_of_classes or labels.is_one_hot or (loss.kind in ("unknown", "direction") and labels.are_classes):
        return "top1"
    if loss.kind == "direction":
        raise BadInputError(f"no metric follows from the loss {loss.name}: {labels}", hint=_GIVE_METRIC)
    if loss.kind == "hinge" or (labels.are_yes_no and (loss.kind != "regression" or labels.y.min() != labels.y.max())):
        return "binary"
    return "r2"


def _threshold(loss: LossKind, activation: str) -> float | None:
    """Returns the output above which a network says yes; None if neither loss nor activation determines it."""
    if activation in ("sigmoid", "softmax"):
        return 0.5
    if loss.kind == "hinge":
        return 0.0
    if loss.kind == "binary":
        return 0.0 if loss.from_logits else 0.5
    return 0.5 if loss.kind == "regression" or (loss.is_of_classes and not loss.from_logits) else None


def _binary(labels: Labels, loss: LossKind, threshold: float | None) -> LearningTask:
    (labels.signed() if loss.kind == "hinge" else labels).yes_no()
    if threshold is None:
        line = f"the metric binary needs probabilities or a loss that says where yes begins, not {loss.name}: {labels}"
        raise BadInputError(line, hint=f"end the network in a sigmoid, or {_GIVE_METRIC}")
    return LearningTask("binary", "binary", labels.outputs, threshold)


def _regression(labels: Labels, loss: LossKind, inputs: Shape, activation: str) -> LearningTask:
    same = inputs == labels.outputs and bool(inputs)
    try:
        numbers = labels.numbers()
    except BadInputError as error:
        hint = f"for an autoencoder's score of a sample {_GIVE_METRIC}" if same else _GIVE_METRIC
        raise BadInputError(str(error.args[0]), hint=error.hint or hint) from None
    if (loss.kind == "binary" or loss.is_of_classes) and loss.from_logits and activation not in ("sigmoid", "softmax"):
        raise BadInputError(f"r2 is not defined on logits ({loss.name}): {labels}", hint=_GIVE_METRIC)
    if loss.kind in ("binary", "hinge") and not 0 <= numbers.min() <= numbers.max() <= 1:
        raise BadInputError(f"the loss {loss.name} takes labels from 0 to 1: {labels}")
    if not (numbers != numbers[0]).any():
        raise BadInputError(f"r2 is not defined for labels that are all the same: {labels}", hint=_GIVE_METRIC)
    return LearningTask("reconstruction" if same else "regression", "r2", labels.outputs)


def _one_score(labels: Labels) -> Array:
    """Returns labels 0 and 1 as bool (n,) for a network that gives one score, or a score for each of two classes."""
    labels.require_numbers()
    size = math.prod(labels.outputs)
    if size == 2 and labels.are_classes:
        return labels.classes().reshape(-1).astype(bool)
    if size != 1 or not labels.are_yes_no:
        raise BadInputError(f"auc needs one score a sample and labels 0 and 1: {labels}", hint=_GIVE_METRIC)
    return labels.yes_no().reshape(-1)


def _require_both(positive: Array, labels: Labels) -> None:
    if positive.all() or not positive.any():
        raise BadInputError(f"auc needs samples of both classes: {labels}")


_FORMS: dict[str, Callable[[Labels], Array]] = {
    "top1": Labels.classes,
    "binary": lambda labels: labels.signed().yes_no(),
    "auc": _one_score,
    "r2": Labels.numbers,
}
"""Metric -> the labels that it takes."""
