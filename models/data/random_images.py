"""Random images, for networks whose sizes and cycles alone are of interest: nothing can be learned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hil.harness.model import Array

COUNTS = {"train": 32, "test": 8}


def load(split: str) -> tuple[Array, Array]:
    """Draws (images float32 (n, 224, 224, 3) from -1 to 1, classes int64 (n,)): "train" (32) or "test" (8)."""
    random, count = np.random.default_rng(len(split)), COUNTS[split]
    images = random.uniform(-1, 1, (count, 224, 224, 3)).astype(np.float32)
    return images, np.arange(count) % 2


def files() -> list[Path]:
    """Returns this file, which makes them."""
    return [Path(__file__)]
