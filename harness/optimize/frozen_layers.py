"""Frozen layers (`trainable = False`), as of transfer learning: which of them a technique trains all the same.

    with thawed(model):
        ...                             # layers with kernels are trainable here
    frozen_notes("prune", model)        # ["prune: trains the frozen layers conv1, conv2", "prune: bn1 stays frozen"]

TFMOT leaves the weights of a frozen layer unclustered and preserves neither its zeros nor its clusters, so every layer
with a kernel is trained.  All others, such as batch normalization and constant scales, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hil.harness.optimize.canonical.scales import is_constant_scale
from hil.harness.optimize.layers import flat_layers, kernels


@contextmanager
def thawed(model: Any) -> Iterator[None]:
    """Makes the frozen layers with kernels trainable while the block runs."""
    frozen = _frozen_kernels(model)
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False


def frozen_notes(technique: str, model: Any) -> list[str]:
    """Describes for a report, in lines, the frozen layers of a model that a technique trains, and those it does not."""
    trained = [layer.name for layer in _frozen_kernels(model)]
    others = [
        layer.name
        for layer in flat_layers(model)
        if layer.weights and not layer.trainable and layer.name not in trained
    ]
    if technique == "fold":
        return []
    return [
        *([f"{technique}: trains the frozen {_layers(trained)}"] if trained else []),
        *([f"{technique}: leaves the frozen {_layers(others)} unchanged"] if others else []),
    ]


def _frozen_kernels(model: Any) -> list[Any]:
    return [layer for layer, _, _ in kernels(model) if not layer.trainable and not is_constant_scale(layer)]


def _layers(names: list[str]) -> str:
    return f"layer{'' if len(names) == 1 else 's'} {', '.join(names)}"
