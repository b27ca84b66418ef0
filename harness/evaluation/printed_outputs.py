"""Evaluation of a board that prints real numbers instead of returning its tensors (protocol MLPerf Tiny).

Its accuracy is its own: the task's metric on what it printed, on the samples that ran.  Whether it computes what the
int8 model does is known only where the printed numbers determine the quantized values; else there is no count of
mismatches.
"""

from __future__ import annotations

from hil.core.arrays import Array
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.model import Metric
from hil.targets.execution.signature import TensorSpec

_PROBABILITIES = (1 / 256, -128)
"""Scale and zero point that TFLite gives the int8 output of a sigmoid or softmax."""


def task_of_int8(metric: str | Metric | None, labels: Array, output: TensorSpec) -> LearningTask:
    """The learning task of an int8 file, which has no loss; `labels` (n, ...) are those of the test data."""
    activation = "sigmoid" if (output.scale, output.zero_point) == _PROBABILITIES else ""
    return learning_task(metric, Labels(labels, output.sample_shape), LossKind(), activation=activation)
