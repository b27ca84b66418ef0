"""Report of a walk's trainings: those that made a model worse, and loss and accuracy by epoch.

worse_trainings(found)      # ["npu_pcqat: training made it 2.50 points worse: 90.9 % before (npu_sparse_cluster) ..."]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.core.measurement import Measurement, Trust
from hil.harness.evaluation.training_effect import started_from
from hil.harness.metrics.accuracy import Accuracy
from hil.harness.model.metric import SHARE
from hil.harness.optimize.training_history import format_history
from hil.harness.tree.candidates import title
from hil.harness.tree.result import Leaf, TrainedNode, Walk

_BEFORE, _DROP, _LOW = "training_before", "training_drop", "training_drop_low"


def training_figures(effect: Accuracy | None) -> list[Measurement]:
    """Measurements of a training's effect; none without a training."""
    if effect is None:
        return []
    what = "last training, Keras models on the test set"
    return [
        Measurement(_BEFORE, effect.reference, effect.unit, Trust.EXACT, f"the metric before the {what}"),
        Measurement(_DROP, effect.drop, effect.unit, Trust.EXACT, f"by the {what}"),
        Measurement(_LOW, effect.low, effect.unit, Trust.EXACT, "lower end of the paired 95 % interval"),
        Measurement("training_drop_high", effect.high, effect.unit, Trust.EXACT, "upper end of it"),
    ]


def worse_trainings(found: Walk) -> list[str]:
    """Returns a line for each leaf that is worse, with 95 % confidence, than what its last training started from."""
    return [_line(found, leaf) for leaf in found.leaves if _is_worse(leaf)]


def _is_worse(leaf: Leaf) -> bool:
    drop, low = leaf.figure(_DROP), leaf.figure(_LOW)
    return drop is not None and (drop if low is None else low) > 0


def _line(found: Walk, leaf: Leaf) -> str:
    before, after, drop = (leaf.figure(name) or 0.0 for name in (_BEFORE, "keras_accuracy", _DROP))
    start = " > ".join(started_from(leaf.technique) or ()) or "base"
    worse = found.scale.difference(drop, signed=False)
    values = f"{found.scale.text(before)} before ({start}), {found.scale.text(after)} after"
    return f"{leaf.name}: its last training made it {worse} worse in Keras, {values}"


@dataclass(frozen=True)
class TrainingRow:
    """A training for a table: its node, seconds, and loss and accuracy of each epoch, as texts."""

    name: str
    seconds: str
    loss: str
    accuracy: str


def training_rows(trained: Sequence[TrainedNode]) -> list[TrainingRow]:
    """Formats the trainings; an accuracy is that of training samples, in percent."""
    return [_row(node) for node in trained if node.epochs]


def _row(node: TrainedNode) -> TrainingRow:
    right = [SHARE.factor * epoch.accuracy for epoch in node.epochs if epoch.accuracy is not None]
    losses = format_history([epoch.loss for epoch in node.epochs], ".4g")
    name = title(" > ".join(node.node) or "base", node.settings)
    return TrainingRow(name, f"{node.seconds:.1f}", losses, format_history(right, ".1f"))
