"""Figures of a model's kernels: the share of zeros, and the largest number of distinct values in one kernel.

kernel_weights(weights)      # KernelWeights(zeros=0.5, unique=32)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.harness.optimize.layer_weights import LayerWeights


@dataclass(frozen=True)
class KernelWeights:
    """`zeros`: their share of all kernels that a technique may change; `unique`: most distinct values of one kernel."""

    zeros: float
    unique: int


def kernel_weights(layers: Sequence[LayerWeights]) -> KernelWeights | None:
    """The figures of `layers`; None if no technique may change any of them.  Depthwise kernels are not counted."""
    kernels = [layer for layer in layers if "depthwise" not in layer.kind.lower()]
    if not kernels:
        return None
    size = sum(layer.size for layer in kernels)
    zeros = sum(layer.zeros * layer.size for layer in kernels) / size
    return KernelWeights(zeros, max(layer.unique for layer in kernels))
