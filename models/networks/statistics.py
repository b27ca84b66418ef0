"""Batch normalization of an untrained network with the statistics of a few samples.

With those that it begins with, the activations fade from layer to layer, and an int8 file has scales that no trained
network has: TensorFlow's reference SOFTMAX ends the process on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLES = 8


def with_statistics(network: Any) -> Any:
    """Gives a Keras 2 network of one input the statistics of uniform samples from -1 to 1, and returns it."""
    import tf_keras as keras

    samples = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, *network.input_shape[1:])).astype(np.float32)
    normalizing = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in normalizing]
    for layer in normalizing:
        layer.momentum = 0.0
    network(samples, training=True)
    for layer, momentum in zip(normalizing, momenta, strict=True):
        layer.momentum = momentum
    return network
