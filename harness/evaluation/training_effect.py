"""Effect of a leaf's last training: the Keras model after it against the one that it started from.

    found = training_effect(pipeline, model, "pcqat")
    found.reference, found.value, found.drop        # 0.905, 0.904, 0.001: of sparse_cluster, of pcqat

Both are float models on the whole test set, so the effect is neither that of the conversion nor of earlier steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hil.harness.metrics.accuracy import Accuracy
from hil.harness.model import Model
from hil.harness.optimize.paths import Node, last_training, path_of, training_node

if TYPE_CHECKING:
    from hil.harness.pipeline import Pipeline


def started_from(leaf: str) -> Node | None:
    """Returns the node that the last training of a leaf started from; None for a leaf without a training."""
    node = last_training(path_of(leaf))
    return node[:-1] if node else None


def training_effect(pipeline: Pipeline, model: Model, leaf: str) -> Accuracy | None:
    """Compares the Keras models before and after a leaf's last training; None for a leaf without one."""
    if (before := started_from(leaf)) is None:
        return None
    samples = pipeline.samples(model, "test")
    outputs = pipeline.predictions(model, training_node(path_of(leaf)))
    references = {"reference": pipeline.predictions(model, before), "keras": outputs}
    every = np.arange(len(samples))
    found = pipeline.accuracy(model, samples, candidate=outputs, on_target=every, references=references)
    return found if isinstance(found, Accuracy) else None
