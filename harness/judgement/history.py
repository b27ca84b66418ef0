"""Noise of a measured figure from its own history of nights."""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array

FEWEST_NIGHTS = 12
"""Nights from which on a history tells its own spread."""

WINDOW = 60
"""Latest nights that tell the spread: what was odd before is forgotten."""


def spread(history: Array) -> Array:
    """Returns the third quartile + 3 interquartile ranges of a history's deviations, over the last axis."""
    deviations = np.abs(history - np.median(history, axis=-1, keepdims=True))
    first, third = np.quantile(deviations, (0.25, 0.75), axis=-1)
    return third + 3 * (third - first)
