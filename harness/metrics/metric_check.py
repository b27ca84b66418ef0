"""Check of a named metric against outputs, labels, loss and inputs, before anything is trained.

    terms = metric_terms("binary", TaskParts(Labels(y, (1,)), LossKind("binary"), inputs=(8,), activation="sigmoid"))
    terms.kind, terms.threshold          # "binary", 0.5

What is not defined raises `BadInputError`, whose line names both shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.metrics.labels import Labels, Shape
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.model.metric import top_of

GIVE_METRIC = "give the model file a metric: a function of (outputs, labels)"


@dataclass(frozen=True)
class TaskParts:
    """Parts that a metric has to fit: labels and outputs, loss, shape of an input sample, name of the activation."""

    labels: Labels
    loss: LossKind
    inputs: Shape = ()
    activation: str = ""

    @property
    def threshold(self) -> float | None:
        """Output above which the network says yes; None if neither loss nor activation determines it."""
        if self.activation in ("sigmoid", "softmax"):
            return 0.5
        if self.loss.kind == "hinge":
            return 0.0
        if self.loss.kind == "binary":
            return 0.0 if self.loss.from_logits else 0.5
        is_share = self.loss.kind == "regression" or (self.loss.is_of_classes and not self.loss.from_logits)
        return 0.5 if is_share else None

    @property
    def is_reconstruction(self) -> bool:
        """True for outputs of the shape of the inputs."""
        return bool(self.inputs) and self.inputs == self.labels.outputs


@dataclass(frozen=True)
class MetricTerms:
    """Kind of the task, output above which the answer is yes, and `peak`, the largest span of two labels of `psnr`."""

    kind: str
    threshold: float = 0.5
    peak: float = 1.0


def metric_terms(metric: str, parts: TaskParts) -> MetricTerms:
    """Returns the terms of a named metric; raises `BadInputError` if it is not defined for the parts."""
    return _top(top_of(metric), parts) if top_of(metric) else _CHECKS[metric](metric, parts)


def one_score(metric: str, labels: Labels) -> Array:
    """Returns labels 0 and 1 as bool (n,) for a network that gives one score, or a score for each of two classes."""
    labels.require_numbers()
    size = math.prod(labels.outputs)
    if size == 2 and labels.are_classes:
        return labels.classes().reshape(-1).astype(bool)
    if size != 1 or not labels.are_yes_no:
        raise BadInputError(f"{metric} needs one score a sample and labels 0 and 1: {labels}", hint=GIVE_METRIC)
    return labels.yes_no().reshape(-1)


def _top(k: int, parts: TaskParts) -> MetricTerms:
    parts.labels.classes()
    if k >= parts.labels.count:
        raise BadInputError(f"top{k} of {parts.labels.count} classes is always right: {parts.labels}")
    return MetricTerms("classes")


def _binary(metric: str, parts: TaskParts) -> MetricTerms:
    labels, loss = parts.labels, parts.loss
    (labels.signed() if loss.kind == "hinge" else labels).yes_no()
    if parts.threshold is None:
        needed = "probabilities or a loss that says where yes begins"
        line = f"the metric {metric} needs {needed}, not {loss.name}: {labels}"
        raise BadInputError(line, hint=f"end the network in a sigmoid, or {GIVE_METRIC}")
    return MetricTerms("binary", parts.threshold)


def _by_class(metric: str, parts: TaskParts) -> MetricTerms:
    """Terms of a metric over classes, of which a single output tells yes and no."""
    if parts.labels.count == 1 and parts.labels.are_yes_no:
        return _binary(metric, parts)
    parts.labels.classes()
    return MetricTerms("classes")


def _f1(metric: str, parts: TaskParts) -> MetricTerms:
    labels = parts.labels
    terms = MetricTerms("classes") if labels.count == 2 and labels.are_classes else _binary(metric, parts)
    found = labels.classes() if terms.kind == "classes" else labels.signed().yes_no()
    if not found.any():
        raise BadInputError(f"f1 needs labels of 1: {labels}")
    return terms


def _ranked(metric: str, parts: TaskParts) -> MetricTerms:
    _require_both(metric, one_score(metric, parts.labels), parts.labels)
    return MetricTerms("binary")


def _require_both(metric: str, positive: Array, labels: Labels) -> None:
    if positive.all() or not positive.any():
        raise BadInputError(f"{metric} needs samples of both classes: {labels}")


def _numbers(metric: str, parts: TaskParts) -> MetricTerms:
    labels, loss = parts.labels, parts.loss
    try:
        numbers = labels.numbers()
    except BadInputError as error:
        raise BadInputError(str(error.args[0]), hint=error.hint or GIVE_METRIC) from None
    is_of_logits = (loss.kind == "binary" or loss.is_of_classes) and loss.from_logits
    if is_of_logits and parts.activation not in ("sigmoid", "softmax"):
        raise BadInputError(f"{metric} is not defined on logits ({loss.name}): {labels}", hint=GIVE_METRIC)
    if loss.kind in ("binary", "hinge") and not 0 <= numbers.min() <= numbers.max() <= 1:
        raise BadInputError(f"the loss {loss.name} takes labels from 0 to 1: {labels}")
    if metric == "r2" and not (numbers != numbers[0]).any():
        raise BadInputError(f"r2 is not defined for labels that are all the same: {labels}", hint=GIVE_METRIC)
    if metric == "snr" and not numbers.any():
        raise BadInputError(f"snr is not defined for labels that are all 0: {labels}", hint=GIVE_METRIC)
    kind = "reconstruction" if parts.is_reconstruction else "regression"
    return MetricTerms(kind, peak=_peak(numbers, labels) if metric == "psnr" else 1.0)


def _peak(numbers: Array, labels: Labels) -> float:
    """Returns the span of the images' usual ranges: 0 to 1, -1 to 1, or 0 to 255."""
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if low <= numbers.min() and numbers.max() <= high:
            return high - low
    raise BadInputError(f"psnr takes labels from 0 to 1, -1 to 1 or 0 to 255: {labels}", hint=GIVE_METRIC)


def _reconstruction(metric: str, parts: TaskParts) -> MetricTerms:
    if not parts.is_reconstruction:
        line = f"{metric} compares outputs with inputs, which are {parts.inputs}: {parts.labels}"
        raise BadInputError(line, hint=GIVE_METRIC)
    if metric == "reconstruction_auc":
        _require_both(metric, parts.labels.one_yes_no(), parts.labels)
    return MetricTerms("reconstruction")


def _detection(metric: str, parts: TaskParts) -> MetricTerms:
    if len(parts.labels.outputs) != 2 or parts.labels.outputs[-1] != 6:
        line = f"{metric} takes detections (d, 6) of four corners, a score and a class: {parts.labels}"
        raise BadInputError(line, hint=f'NamedMetric("{metric}", decode=a function that makes them of the outputs)')
    parts.labels.boxes()
    return MetricTerms("detection")


_CHECKS: dict[str, Callable[[str, TaskParts], MetricTerms]] = {
    "binary": _binary,
    "f1": _f1,
    **dict.fromkeys(("f1_macro", "worst_recall", "mean_iou"), _by_class),
    **dict.fromkeys(("auc", "eer"), _ranked),
    **dict.fromkeys(("r2", "mae", "mse", "rmse", "snr", "psnr"), _numbers),
    **dict.fromkeys(("reconstruction_auc", "reconstruction_error"), _reconstruction),
    **dict.fromkeys(("map", "map50"), _detection),
}
"""Metric -> its check."""
