"""The hardware's table of the logistic function, by which it computes SIGMOID and TANH of 16 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ONE_HIGHER = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49,
    50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip
"""Entries of the reference's table that are sigmoid(i/24) rounded plus one (found by comparing)."""

LOGISTIC: NDArray[np.int64] = np.round(65536 / (1 + np.exp(-np.arange(256) / 24))).astype(np.int64)
"""Table of sigmoid(i/24) in 16 bits, equal to the reference's."""
LOGISTIC[list(_ONE_HIGHER)] += 1
