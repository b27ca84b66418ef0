"""Small quantized models with features that the shared models lack.

`two`: two inputs and two outputs.  `mixed`: concatenation, depthwise, leaky ReLU, sigmoid, resize, transpose
convolution, mean, softmax.  `variable`: a `tf.Variable` that each inference reads and assigns.  `lstm`: a layer with
state tensors.  `streams`: two int8 `tf.Variable`s, the last steps of a
stream.  `stripes`: convolutions large enough for a cascade.  `resized`: a bilinear resize and a transposition.
`summed`: a SUM, which TensorFlow 2.19's reference kernel gets wrong.  `log_of_sum`: a SUM over two axes, which Vela
compiles wrongly and leaves in another form, then ADD and LOG.  `logs_of_sums`: the same on either half of the depth.
`strided`: a convolution of stride 4, which an Ethos-U does not have.  `floats`: a model that nobody quantized.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Make = Callable[[], bytes]


def _converted(converter: Any, shapes: list[tuple[int, ...]]) -> bytes:
    import tensorflow as tf

    generator = np.random.default_rng(0)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [generator.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(20)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _two() -> bytes:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    left = tf.keras.Input((8, 8, 3), batch_size=1, name="left")
    right = tf.keras.Input((8, 8, 3), batch_size=1, name="right")
    seen = layers.Conv2D(4, 3, padding="same", activation="relu")(left)
    total = layers.Add()([seen, layers.Conv2D(4, 3, padding="same")(right)])
    scores = layers.Dense(5)(layers.Flatten()(layers.MaxPool2D()(total)))
    model = tf.keras.Model([left, right], [total, scores])
    # Through a SavedModel the outputs would come in an order that changes from one process to the next.
    graph = tf.function(model).get_concrete_function([tensor.type_spec for tensor in model.inputs])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph], model)
    converter.experimental_lower_to_saved_model = False
    return _converted(converter, [(1, 8, 8, 3)] * 2)


def _mixed() -> bytes:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers
    image = tf.keras.Input((32, 32, 3), batch_size=1)
    first = layers.Conv2D(24, 3, padding="same", activation="relu6")(image)
    left = layers.LeakyReLU(0.1)(layers.DepthwiseConv2D(3, padding="same")(first))
    right = layers.Conv2D(40, 3, padding="same", activation="relu")(first)
    x = layers.AveragePooling2D()(layers.Concatenate()([left, right]))
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(16, 1, activation="sigmoid")(layers.UpSampling2D()(x))
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return _converted(tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(image, x)), [(1, 32, 32, 3)])


def _variable() -> bytes:
    import tensorflow as tf

    class Leaky(tf.Module):
        """Adds half of its last feature map to its input."""

        def __init__(self) -> None:
            super().__init__()
            self.state = tf.Variable(tf.zeros((1, 8, 8, 4)))
            kernel = np.random.default_rng(1).normal(size=(3, 3, 4, 4)) * 0.3
            self.kernel = tf.constant(kernel, tf.float32)

        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4))])
        def __call__(self, x: Any) -> Any:
            y = tf.nn.relu(tf.nn.conv2d(x + self.state, self.kernel, 1, "SAME"))
            self.state.assign(y * 0.5)
            return tf.nn.conv2d(y, self.kernel, 1, "SAME")

    module = Leaky()
    function = module.__call__.get_concrete_function()
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], module), [(1, 8, 8, 4)])


def _streams() -> bytes:
    import tensorflow as tf

    def weights(*shape: int) -> Any:
        return tf.constant(np.random.default_rng(len(shape)).normal(size=shape) * 0.3, tf.float32)

    class Streams(tf.Module):
        """A convolution and a dense layer over the last steps of a stream, each from a variable."""

        def __init__(self) -> None:
            super().__init__()
            self.heard = tf.Variable(tf.zeros((1, 3, 1, 4)))
            self.seen = tf.Variable(tf.zeros((1, 4, 1, 4)))

        @tf.function(input_signature=[tf.TensorSpec((1, 1, 1, 4))])
        def __call__(self, x: Any) -> Any:
            heard = tf.concat([self.heard, x], 1)
            self.heard.assign(heard[:, 1:])
            seen = tf.concat([self.seen, tf.nn.relu(tf.nn.conv2d(heard, weights(4, 1, 4, 4), 1, "VALID"))], 1)
            self.seen.assign(seen[:, 1:])
            return tf.matmul(tf.reshape(seen, (1, 20)), weights(20, 2))

    module = Streams()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    converter._experimental_variable_quantization = True  # as microWakeWord's models have it
    return _converted(converter, [(1, 1, 1, 4)])


def _lstm() -> bytes:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.InputLayer((8, 4), batch_size=1), layers.LSTM(6), layers.Dense(3)])
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, 8, 4)))
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], model), [(1, 8, 4)])


def _stripes() -> bytes:
    import tensorflow as tf

    generator = np.random.default_rng(2)

    def weights(*shape: int) -> Any:
        return tf.constant(generator.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape), tf.float32)

    first, second, third, last = weights(3, 3, 4, 24), weights(3, 3, 24, 1), weights(1, 1, 24, 8), weights(288, 5)

    def network(x: Any) -> Any:
        x = tf.nn.relu(tf.nn.conv2d(x, first, 1, "SAME"))
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, second, [1, 1, 1, 1], "SAME"))
        x = tf.nn.max_pool2d(tf.nn.conv2d(x, third, 1, "SAME"), 4, 4, "VALID")
        return tf.matmul(tf.reshape(x, (1, 288)), last)

    function = tf.function(network).get_concrete_function(tf.TensorSpec((1, 24, 24, 4)))
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], network), [(1, 24, 24, 4)])


def _resized() -> bytes:
    import tensorflow as tf

    weights = tf.constant(np.random.default_rng(2).normal(size=(3, 3, 3, 12)), tf.float32)

    def network(x: Any) -> Any:
        x = tf.image.resize(tf.nn.conv2d(x, weights, 1, "VALID"), [10, 10], "bilinear")
        return tf.transpose(x, [0, 2, 1, 3]) * 0.5

    function = tf.function(network).get_concrete_function(tf.TensorSpec((1, 7, 7, 3)))
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], network), [(1, 7, 7, 3)])


def _summed() -> bytes:
    import tensorflow as tf

    weights = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 4, 8)), tf.float32)

    def network(x: Any) -> Any:
        return tf.reduce_sum(tf.nn.conv2d(x, weights, 1, "SAME"), [1, 2])

    function = tf.function(network).get_concrete_function(tf.TensorSpec((1, 8, 8, 4)))
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], network), [(1, 8, 8, 4)])


def _log_of_sum(branches: int = 1) -> bytes:
    import tensorflow as tf

    def network(x: Any) -> Any:
        x = tf.nn.sigmoid(x)
        parts = [x] if branches == 1 else tf.split(x, branches, 3)
        return [tf.math.log(tf.reduce_sum(part, [1, 2], keepdims=True) + 1.0) for part in parts]

    function = tf.function(network).get_concrete_function(tf.TensorSpec((1, 8, 8, 4)))
    return _converted(tf.lite.TFLiteConverter.from_concrete_functions([function], network), [(1, 8, 8, 4)])


def _strided() -> bytes:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((128, 256, 1), batch_size=1)
    model = tf.keras.Model(image, tf.keras.layers.Conv2D(1, 3, strides=4, padding="same")(image))
    return _converted(tf.lite.TFLiteConverter.from_keras_model(model), [(1, 128, 256, 1)])


def _floats() -> bytes:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.InputLayer((4,), batch_size=1), tf.keras.layers.Dense(2)])
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


MODELS: dict[str, Make] = {
    "two": _two,
    "mixed": _mixed,
    "variable": _variable,
    "streams": _streams,
    "lstm": _lstm,
    "stripes": _stripes,
    "resized": _resized,
    "summed": _summed,
    "log_of_sum": _log_of_sum,
    "logs_of_sums": lambda: _log_of_sum(2),
    "strided": _strided,
    "floats": _floats,
}
