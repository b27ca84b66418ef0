"""Keras models as files: HDF5, never pickle; quantization-aware ones included."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_model(model: Any, path: Path) -> None:
    """Writes a Keras model, weights and structure, without its optimizer."""
    raise NotImplementedError


def load_model(path: Path) -> Any:
    """Reads what `save_model` wrote; raises `BadInputError` for anything else."""
    raise NotImplementedError
