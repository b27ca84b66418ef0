"""A small quantized network with two inputs and two outputs, all of different size.  Needs TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def two_inputs() -> bytes:
    """int8 TFLite: inputs (1, 6, 6, 4) and (1, 5); outputs (1, 6, 6, 3) and (1, 7)."""
    import tensorflow as tf

    random = np.random.default_rng(3)

    def weights(*shape: int) -> Any:
        return tf.constant(random.normal(0, 0.4, shape).astype(np.float32))

    @tf.function(
        input_signature=[tf.TensorSpec((1, 6, 6, 4), name="image"), tf.TensorSpec((1, 5), name="context")],
    )
    def network(image: Any, context: Any) -> dict[str, Any]:
        x = tf.nn.relu(tf.nn.conv2d(image, weights(3, 3, 4, 3), 1, "SAME") + weights(3))
        flat = tf.concat([tf.reshape(x, (1, 108)), tf.matmul(context, weights(5, 5))], 1)
        return {"map": x, "scores": tf.matmul(flat, weights(113, 7))}

    def representative() -> Iterator[list[Any]]:
        for _ in range(20):
            yield [random.normal(size=shape).astype(np.float32) for shape in ((1, 6, 6, 4), (1, 5))]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(two_inputs())
