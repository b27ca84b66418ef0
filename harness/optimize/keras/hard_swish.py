"""The layer HardSwish, x * relu6(x + 3) / 6, which Keras 2 lacks and TensorFlow Lite has as one operator.

    HardSwish = hard_swish_layer()

MobileNetV3 computes it by operators and layers, which would be quantized one by one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow

HARD_SWISH = "HardSwish"


@cache
def hard_swish_layer() -> type[Any]:
    """Returns the class of the layer; registered at the first call, so that Keras finds it in files by its name."""
    tf, keras = import_tensorflow(), import_keras()

    @keras.saving.register_keras_serializable("hil")
    class HardSwish(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs * tf.nn.relu6(inputs + 3.0) * (1 / 6)

    return HardSwish
