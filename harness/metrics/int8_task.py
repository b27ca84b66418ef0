"""Learning task of an int8 file: it has no loss, so the task follows from its output and the labels."""

from __future__ import annotations

from hil.core.arrays import Array
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.model import Metric, MetricFunction
from hil.targets.execution.signature import TensorSpec

_PROBABILITIES = (1 / 256, -128)
"""Scale and zero point that TFLite gives the int8 output of a sigmoid or softmax."""


def task_of_int8(metric: str | Metric | MetricFunction | None, labels: Array, output: TensorSpec) -> LearningTask:
    """The task of an int8 file; `labels` (n, ...) are those of the test data.  Raises as `learning_task`."""
    activation = "sigmoid" if (output.scale, output.zero_point) == _PROBABILITIES else ""
    return learning_task(metric, Labels(labels, output.sample_shape), LossKind(), activation=activation)
