"""Small quantized networks that the shared models lack: `python networks.py FOLDER`.  Needs TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_random = np.random.default_rng(3)


def _weights(*shape: int) -> Any:
    return tf.constant(_random.normal(0, 0.4, shape).astype(np.float32))


def _two_inputs(image: Any, context: Any) -> dict[str, Any]:
    """Two inputs and two outputs, all of different size."""
    x = tf.nn.relu(tf.nn.conv2d(image, _weights(3, 3, 4, 3), 1, "SAME") + _weights(3))
    flat = tf.concat([tf.reshape(x, (1, 108)), tf.matmul(context, _weights(5, 5))], 1)
    return {"map": x, "scores": tf.matmul(flat, _weights(113, 7))}


def _too_large(image: Any) -> Any:
    """Activations that no arena of 2 MiB holds."""
    return tf.nn.conv2d(image, _weights(3, 3, 4, 4), 1, "SAME")


def _quantized(network: Any, *shapes: tuple[int, ...]) -> bytes:
    def representative() -> Iterator[list[Any]]:
        for _ in range(3):
            yield [_random.normal(size=shape).astype(np.float32) for shape in shapes]

    function = tf.function(network, input_signature=[tf.TensorSpec(shape) for shape in shapes])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "two_inputs.tflite").write_bytes(_quantized(_two_inputs, (1, 6, 6, 4), (1, 5)))
    (folder / "too_large.tflite").write_bytes(_quantized(_too_large, (1, 512, 512, 4)))
