"""The techniques, each a function from a Keras model to a Keras model.

pruned = STEPS["prune"](base, data, recipe, "logits")       # Data(x, y): the training samples
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hil.harness.model import Array, Recipe

Progress = Callable[[int, int, str], None]
"""Called with (training steps done, in all, what is running)."""


@dataclass(frozen=True)
class Data:
    """Training samples: x float32 (n, *input shape), y (n, ...)."""

    x: Array
    y: Array


def apply(
    technique: str, model: Any, data: Data, recipe: Recipe, loss: Any = "logits", progress: Progress | None = None
) -> Any:
    """Applies one training technique to a Keras model (left unchanged) and gives the fine-tuned, stripped one.

    Raises `OptimizeError` if TFMOT cannot take the model, `LostError` if the technique did not do what it promises.
    """
    raise NotImplementedError
