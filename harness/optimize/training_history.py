"""History of a training: loss and accuracy of each epoch, as the artifact of its step has them.

history = [Epoch(loss=0.41, accuracy=0.86), Epoch(loss=0.35, accuracy=0.88)]
format_history([epoch.loss for epoch in history], ".3f")     # "0.410, 0.350"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SHOWN = 8
"""Largest number of epochs whose figures are all shown."""


@dataclass(frozen=True)
class Epoch:
    """Means over the batches of an epoch, while the weights change: the loss, and the share of right answers.

    `accuracy` is None for a loss without right answers, such as that of a regression.  The validation figures are those
    of the samples held out, after the epoch; None without such samples.
    """

    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


OnEpoch = Callable[[Epoch], None]
"""Called after each epoch."""


def read_history(data: bytes) -> tuple[Epoch, ...]:
    """Reads the JSON that a step's artifact has: a list of epochs."""
    return tuple(Epoch(**epoch) for epoch in json.loads(data))


def format_history(values: Sequence[float], form: str) -> str:
    """Formats the figure of each epoch; of many epochs the first and the last few."""
    texts = [format(value, form) for value in values]
    if len(texts) > SHOWN:
        texts = [*texts[: SHOWN // 2], "...", *texts[-SHOWN // 2 :]]
    return ", ".join(texts)
