"""What a path promised about zeros and clusters, and whether it holds in the Keras model and in the int8 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hil.harness.model import Recipe
from hil.harness.optimize.paths import Node


@dataclass(frozen=True)
class LayerWeights:
    """One layer's kernel: share of zeros, distinct values in all and (largest count) in one output channel."""

    layer: str
    kind: str
    size: int
    zeros: float
    unique: int
    unique_per_channel: int


def measure(model: Any) -> list[LayerWeights]:
    """Every kernel of a Keras model, in the model's order."""
    raise NotImplementedError


def measure_tflite(tflite: bytes, layers: list[str]) -> list[LayerWeights]:
    """Every kernel of an int8 file, under the names of the Keras layers (`layers`) it came from."""
    raise NotImplementedError


def check(model: Any, path: Node, recipe: Recipe) -> list[LayerWeights]:
    """Measures a Keras model after the last step of `path`; raises `LostError` naming the layer whose promise broke."""
    raise NotImplementedError


def check_tflite(tflite: bytes, model: Any, path: Node, recipe: Recipe) -> list[LayerWeights]:
    """The same for the file that `model` was converted to."""
    raise NotImplementedError
