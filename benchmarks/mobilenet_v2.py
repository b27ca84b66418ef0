"""MobileNetV2 at 224x224, int8, with random weights: a network of the size that people ship.

    path = mobilenet_v2(folder)      # made once, in a quarter of a minute, and kept there

Batch normalization gets the statistics of a few samples, so that activations have the ranges of a trained network:
with the statistics it begins with, the logits' scale is so small that TensorFlow's reference SOFTMAX ends the process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 8


def mobilenet_v2(folder: Path) -> Path:
    """The TFLite file in `folder`, made if it is not there."""
    path = folder / "mobilenet_v2_224.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(_make())
        partial.replace(path)
    return path


def _make() -> bytes:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tf_keras

    from hil.harness.optimize.conversion import to_tflite

    tf_keras.utils.set_random_seed(0)
    model: Any = tf_keras.applications.MobileNetV2(weights=None, input_shape=(224, 224, 3))
    samples = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 224, 224, 3)).astype(np.float32)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(samples, training=True)
    return to_tflite(model, "ptq", [samples])
