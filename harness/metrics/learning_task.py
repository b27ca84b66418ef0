"""Learning task of a model: the metric that is defined for its outputs, labels and loss.

    task = learning_task(None, Labels(y, (1,)), LossKind("binary"), inputs=(8,), activation="sigmoid")
    task.metric, task.threshold          # "binary", 0.5

Without a metric of the model file, it follows from the task: `top1` for classes, `binary` for labels 0 and 1 of the
outputs' shape, `r2` for numbers of the outputs' shape, `reconstruction_auc` for a label 0 or 1 of a sample that the
network gives again.  What is not defined raises `BadInputError`, whose line names both shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.metrics.detections import merge_labels
from hil.harness.metrics.labels import Labels, Shape
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.metric_check import GIVE_METRIC, TaskParts, metric_terms, one_score
from hil.harness.model import Metric, Scale
from hil.harness.model.metric import ArrayOrTuple, Decode, ModelMetric, named_metric, own_metric, scale_of


@dataclass(frozen=True)
class LearningTask:
    """Kind of a task, its metric, and the shape of the outputs for one sample, after `decode` if there is one.

    `kind` is "classes", "binary", "regression", "reconstruction" (of the inputs' shape), "detection" or "own", where
    the metric is the model file's own.  An output above `threshold` counts as yes; `peak` is the largest span of two
    labels of `psnr`.
    """

    kind: str
    metric: str
    outputs: Shape
    threshold: float = 0.5
    peak: float = 1.0
    own: Metric | None = None
    decode: Decode | None = None

    @property
    def scale(self) -> Scale:
        """Unit and direction of the metric's values."""
        return scale_of(self.metric) if self.own is None else self.own.scale

    @property
    def takes_inputs(self) -> bool:
        """True for a metric of outputs, labels and samples."""
        return self.metric.startswith("reconstruction_") if self.own is None else self.own.takes_inputs

    @property
    def user_function(self) -> Callable[..., Any] | None:
        """The function of the user's own that the metric calls."""
        return self.decode if self.own is None else self.own.function

    def as_json(self) -> dict[str, Any]:
        """Converts the task to JSON, without functions."""
        return {**asdict(replace(self, own=None, decode=None)), "outputs": list(self.outputs)}

    @staticmethod
    def from_json(record: Mapping[str, Any], metric: ModelMetric | None = None) -> LearningTask:
        """Reads what `as_json` wrote; `metric` is the model file's."""
        named = named_metric(metric)
        functions = {"own": own_metric(metric), "decode": named.decode if named else None}
        return LearningTask(**{**record, "outputs": tuple(record["outputs"]), **functions})

    def labels(self, y: ArrayOrTuple) -> ArrayOrTuple:
        """Labels (n, ...) in the form that the metric takes; those of a metric of the user's own stay as they are."""
        if self.own is not None or self.metric == "reconstruction_error":
            return y
        labels = Labels(merge_labels(y), self.outputs)
        if self.metric in ("auc", "eer"):
            return one_score(self.metric, labels)
        return labels.one_yes_no() if self.metric == "reconstruction_auc" else _FORMS[self.kind](labels)


_FORMS: dict[str, Callable[[Labels], Array]] = {
    "classes": Labels.classes,
    "binary": lambda labels: labels.signed().yes_no(),
    "regression": Labels.numbers,
    "reconstruction": Labels.numbers,
    "detection": Labels.boxes,
}
"""Kind of a task -> the labels that its metrics take."""


def learning_task(
    metric: ModelMetric | None, labels: Labels, loss: LossKind, inputs: Shape = (), activation: str = ""
) -> LearningTask:
    """Finds the task of a model from its test labels.

    The outputs of `labels` are those that `metric` decodes, if it does.  `inputs` is the shape of an input sample,
    `activation` the name of the last activation, empty if unknown.  Raises `BadInputError` if the metric is not defined
    for the outputs and labels, or if none follows from them.
    """
    if (own := own_metric(metric)) is not None:
        name = str(getattr(own.function, "__name__", type(own.function).__name__))
        return LearningTask("own", name, labels.outputs, own=own)
    named = named_metric(metric)
    parts = TaskParts(labels, loss, inputs, activation)
    name = named.name if named else _metric_of(parts)
    terms = metric_terms(name, parts)
    return LearningTask(metric=name, outputs=labels.outputs, decode=named.decode if named else None, **asdict(terms))


def labels_of_metric(
    metric: ModelMetric | None, y: ArrayOrTuple, outputs: Shape, split: str = "test", output: str = ""
) -> Labels:
    """Labels that a metric takes of `y` (n, ...), of one output or a tuple of all; of the user's own, the first."""
    if own_metric(metric) is not None:
        return Labels(y[0] if isinstance(y, tuple) else y, outputs, split, output)
    return Labels(merge_labels(y), outputs, split, output)


def _metric_of(parts: TaskParts) -> str:
    """Returns the name of the metric that follows from labels, loss, outputs and inputs."""
    labels, loss = parts.labels, parts.loss
    if parts.is_reconstruction and labels.are_one_yes_no and not labels.has_outputs_shape:
        return "reconstruction_auc"
    if loss.is_of_classes or labels.is_one_hot or (loss.kind in ("unknown", "direction") and labels.are_classes):
        return "top1"
    if loss.kind == "direction":
        raise BadInputError(f"no metric follows from the loss {loss.name}: {labels}", hint=GIVE_METRIC)
    if loss.kind == "hinge" or (labels.are_yes_no and (loss.kind != "regression" or labels.y.min() != labels.y.max())):
        return "binary"
    return "r2"
