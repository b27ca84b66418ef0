"""Evaluation of a board that prints real numbers instead of returning its tensors (protocol MLPerf Tiny).

Its accuracy is its own: the model's metric on what it printed, on the samples that ran.  Whether it computes what the
int8 model does is known only where the printed numbers determine the quantized values; else there is no count of
mismatches.
"""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array
from hil.harness.evaluation import accuracy
from hil.harness.evaluation.accuracy import Accuracy
from hil.harness.model import Model
from hil.targets.base import Run


def own_accuracy(model: Model, run: Run, labels: Array, reference: Array, keras: Array) -> Accuracy:
    """The metric on what the board printed; all arrays are of the samples that ran on it."""
    return accuracy.compare(
        model.metric,
        labels,
        reference=reference,
        keras=keras,
        candidate=run.printed[0],
        on_target=np.arange(len(labels)),
    )
