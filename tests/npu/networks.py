"""Small quantized networks with random weights and features that the shared models lack.  Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_generator = np.random.default_rng(7)


def _weights(*shape: int) -> Any:
    return tf.constant(_generator.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape).astype(np.float32))


def _cnn(x: Any) -> Any:
    x = tf.nn.relu6(tf.nn.conv2d(x, _weights(3, 3, 4, 24), 2, "SAME") + _weights(24))
    y = tf.nn.relu(tf.nn.depthwise_conv2d(x, _weights(5, 3, 24, 1), [1, 1, 1, 1], "SAME") + _weights(24))
    x = tf.nn.conv2d(x, _weights(1, 1, 24, 40), 1, "VALID") + tf.nn.conv2d(y, _weights(1, 1, 24, 40), 1, "VALID")
    x = tf.nn.avg_pool2d(tf.nn.max_pool2d(x, 2, 2, "VALID"), 3, 1, "SAME")
    x = tf.reshape(tf.reduce_mean(x, [1, 2]), [1, 40])
    return tf.nn.softmax(tf.matmul(x, _weights(40, 10)) + _weights(10))


def _misc(x: Any) -> Any:
    x = tf.nn.conv2d(x, _weights(3, 3, 4, 20), 1, "SAME", dilations=2) + _weights(20)
    y = tf.concat([tf.sigmoid(x), tf.tanh(x), tf.nn.leaky_relu(x, 0.3)], 3)
    y = tf.image.resize(y[:, ::2, ::2], [16, 16], "nearest")
    y = tf.nn.conv2d(y, _weights(1, 1, 60, 20), 1, "VALID") * x - x
    y = tf.nn.conv2d_transpose(y, _weights(3, 3, 6, 20), [1, 32, 32, 6], 2, "SAME")
    return tf.reduce_mean(y, [1, 2])


def _shapes(x: Any) -> Any:
    a, b = tf.split(tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]]), 2, axis=3)
    x = tf.concat([tf.maximum(a, b), tf.minimum(a, b), tf.abs(a), tf.nn.relu(b)], 3)
    x = tf.nn.conv2d(x, _weights(4, 5, 8, 12), 3, "VALID") + _weights(12)
    x = tf.transpose(tf.image.resize(x, [10, 10], "bilinear"), [0, 2, 1, 3])
    x = 1.5 - x * x[:, :1]
    return tf.nn.conv2d(x, _weights(9, 9, 12, 3), 1, "VALID")


def _wide(x: Any) -> Any:
    x = tf.nn.relu(tf.nn.conv2d(x, _weights(3, 3, 4, 48), 1, "SAME") + _weights(48))
    x = tf.nn.depthwise_conv2d(x, _weights(3, 3, 48, 1), [1, 1, 1, 1], "VALID") + _weights(48)
    x = tf.nn.conv2d(x, _weights(1, 1, 48, 8), 1, "SAME") + _weights(8)
    x = tf.reshape(x, [1, 14 * 14 * 8])
    return tf.sigmoid(tf.matmul(x, _weights(14 * 14 * 8, 6)) + _weights(6))


def _two_outputs(x: Any) -> Any:
    x = tf.nn.relu(tf.nn.conv2d(x, _weights(3, 3, 4, 16), 1, "SAME") + _weights(16))
    return {
        "small": tf.nn.conv2d(x, _weights(1, 1, 16, 3), 1, "SAME"),
        "large": tf.nn.max_pool2d(tf.nn.conv2d(x, _weights(3, 3, 16, 7), 1, "SAME"), 2, 2, "VALID"),
    }


def _softmax(x: Any) -> Any:
    return tf.nn.softmax(x * 4)


_NETWORKS: dict[str, Callable[[Any], Any]] = {
    "cnn": _cnn,
    "misc": _misc,
    "shapes": _shapes,
    "wide": _wide,
    "two_outputs": _two_outputs,
    "softmax": _softmax,
}


def make(name: str) -> bytes:
    """The network `name` as a quantized TFLite file; `-int16` at its end makes it int16x8, `-uint8` uint8 outside.

    `sigmoid:S` and `tanh:S` are that function alone, of inputs from -S to S.
    """
    network, _, kind = name.partition("-")
    if ":" in network:
        function, scale = network.split(":")
        samples = np.linspace(-float(scale), float(scale), 1 << 16).reshape(1, 1, 256, 256, 1).astype(np.float32)
        return _convert(getattr(tf, function), samples, kind)
    return _convert(_NETWORKS[network], np.random.default_rng(3).normal(0, 1, (20, 1, 16, 16, 4)), kind)


def _convert(network: Callable[[Any], Any], samples: Any, kind: str) -> bytes:
    function = tf.function(network, input_signature=[tf.TensorSpec(samples.shape[1:], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample.astype(np.float32)] for sample in samples)
    outside = {"int16": tf.int16, "uint8": tf.uint8}.get(kind, tf.int8)
    operators = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
    if kind == "int16":
        operators = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [operators]
    converter.inference_input_type = converter.inference_output_type = outside
    return converter.convert()
