"""Offsets of batch normalization for TensorFlow's converter, which drops a ReLU behind one that is zero.

    from hil.harness.optimize.conversion import to_tflite

    with nonzero_offsets(model):
        int8 = to_tflite(model, "qat", samples)

From a quantization-aware Conv2D, BatchNormalization, ReLU whose normalization has the offset 0 in all channels (never
trained, or frozen as it was built), the converter removes the addition of zero, fuses the ReLU to the multiplication
that is left, and loses it when it folds that into the convolution (TensorFlow 2.19: -13 dB against the Keras model).
An offset of 1e-30 prevents it; it vanishes in every float sum and is 0 in the quantized bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hil.harness.optimize.layers import flat_layers, weight_name

_OFFSET = 1e-30


@contextmanager
def nonzero_offsets(model: Any) -> Iterator[None]:
    """Gives each batch normalization whose offset is zero in all channels one of 1e-30 while the block runs."""
    means = [(layer.moving_mean, layer.moving_mean.numpy()) for layer in flat_layers(model) if _has_none(layer)]
    for variable, mean in means:
        variable.assign(np.full_like(mean, -_OFFSET))
    try:
        yield
    finally:
        for variable, mean in means:
            variable.assign(mean)


def _has_none(layer: Any) -> bool:
    if type(layer).__name__ != "BatchNormalization":
        return False
    return not any(v.numpy().any() for v in layer.weights if weight_name(v) in ("beta", "moving_mean"))
