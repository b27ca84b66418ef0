"""Learning task of an int8 file: it has no loss, so the task follows from its output and the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.core.arrays import Array
from hil.harness.data.interface import Interface
from hil.harness.metrics.learning_task import LearningTask, labels_of_metric, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.scores import decoded_shape
from hil.harness.model.metric import ModelMetric
from hil.targets.execution.signature import Signature

_PROBABILITIES = (1 / 256, -128)
"""Scale and zero point that TFLite gives the int8 output of a sigmoid or softmax."""


def task_of_int8(
    metric: ModelMetric | None, labels: Sequence[Array], signature: Signature, found: Interface
) -> LearningTask:
    """The task of an int8 file; `labels` (n, ...) are those of the test data by output.  Raises as `learning_task`."""
    output = signature.outputs[found.output or 0]
    quantized = output.quantized or output
    activation = "sigmoid" if (quantized.scale, quantized.zero_point) == _PROBABILITIES else ""
    zeros = [np.zeros((1, *spec.sample_shape), np.float32) for spec in signature.outputs]
    inputs = signature.inputs[0].sample_shape if len(signature.inputs) == 1 else ()
    of_metric = labels_of_metric(metric, found.metric(labels), decoded_shape(metric, found.metric(zeros)))
    return learning_task(metric, of_metric, LossKind(), inputs, activation)
