"""Quantization-aware training with per-tensor weight scales, where TFMOT's default is per channel.

    aware = quantize_per_tensor(folded)

TFMOT's registry has the option `disable_per_axis`, but quantizes a transposed convolution, and a layer that feeds a
`Concatenate`, per channel all the same; those get a configuration of their own.  The model must be folded: with one
scale, TensorFlow leaves a convolution before batch normalization in float (tensorflow#43882).
"""

from __future__ import annotations

import importlib
from typing import Any

from hil.harness.optimize.float_layers import stays_in_float
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot
from hil.harness.optimize.quantize_configs import feeds_concatenate, own_config

_DEFAULT = "tensorflow_model_optimization.python.core.quantization.keras.default_8bit."
_KERNELS = {"Conv2D": "kernel", "Conv2DTranspose": "kernel", "DepthwiseConv2D": "depthwise_kernel"}


def quantize_per_tensor(model: Any) -> Any:
    """Returns a copy of a folded model with per-tensor fake quantization in its graph."""
    quantization = import_tfmot().quantization.keras
    scheme = importlib.import_module(f"{_DEFAULT}default_8bit_quantize_scheme").Default8BitQuantizeScheme
    annotated = import_keras().models.clone_model(model, clone_function=_annotated_like(model))
    with quantization.quantize_scope():  # which configurations of one's own need to be copied
        return quantization.quantize_apply(annotated, scheme(disable_per_axis=True))


def _annotated_like(model: Any) -> Any:
    """Returns the function that annotates a layer, with a configuration of its own where TFMOT would go per channel."""
    registry = importlib.import_module(f"{_DEFAULT}default_8bit_quantize_registry")
    own = {
        layer.name for layer in model.layers if type(layer).__name__ == "Conv2DTranspose" or feeds_concatenate(layer)
    }

    def annotated(layer: Any) -> Any:
        kernel = _KERNELS.get(type(layer).__name__) if layer.name in own else None
        config = registry.Default8BitQuantizeConfig([kernel], ["activation"], False) if kernel else own_config(layer)
        if config is None and stays_in_float(layer):
            return layer
        return import_tfmot().quantization.keras.quantize_annotate_layer(layer, quantize_config=config)

    return annotated
