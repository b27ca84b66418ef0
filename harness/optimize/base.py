"""The trained starting point of a model: `python -m hil.harness.optimize.base models/X.py` retrains and writes it."""

from __future__ import annotations

from typing import Any

from hil.harness.model import Model
from hil.harness.optimize.steps import Data, Progress


def base_model(model: Model, data: Data, progress: Progress | None = None) -> Any:
    """The trained Keras base: built and filled from `model.weights`, or trained by `model.recipe.base`."""
    raise NotImplementedError
