"""Quantization-aware training with one scale a kernel, where TFMOT gives one a channel.

    aware = for_npu(folded)

`Conv2D` and `Conv2DTranspose` get TFMOT's own default configuration, which `Dense` has anyway; `DepthwiseConv2D` keeps
a scale a channel: its channels differ, and it is not clustered.  A layer that feeds a `Concatenate` is configured by
itself, because TFMOT would give it a scale a channel again.  Only folded models are fit for it: with one scale,
TensorFlow leaves a convolution before batch normalization in float (tensorflow#43882).
"""

from __future__ import annotations

import importlib
from typing import Any

from hil.harness.optimize.keras2 import import_keras, import_tfmot

_DEFAULT = "tensorflow_model_optimization.python.core.quantization.keras.default_8bit."


def for_npu(model: Any) -> Any:
    """A copy of a folded model with quantization in its graph."""
    keras, quantization = import_keras(), import_tfmot().quantization.keras
    scheme = importlib.import_module(f"{_DEFAULT}default_8bit_quantize_scheme").Default8BitQuantizeScheme

    class OneScale(scheme):  # type: ignore[misc, valid-type]
        def get_quantize_registry(self) -> Any:
            registry = super().get_quantize_registry()
            for kind in (keras.layers.Conv2D, keras.layers.Conv2DTranspose):
                registry._layer_quantize_map[kind] = _registry()._QuantizeInfo(kind, ["kernel"], ["activation"])
            return registry

    return quantization.quantize_apply(keras.models.clone_model(model, clone_function=_annotated), OneScale())


def _annotated(layer: Any) -> Any:
    kinds = ("Conv2D", "Conv2DTranspose")
    own = type(layer).__name__ in kinds and any(
        type(node.layer).__name__ == "Concatenate" for node in layer._outbound_nodes
    )
    config = _registry().Default8BitQuantizeConfig(["kernel"], ["activation"], False) if own else None
    return import_tfmot().quantization.keras.quantize_annotate_layer(layer, quantize_config=config)


def _registry() -> Any:
    return importlib.import_module(f"{_DEFAULT}default_8bit_quantize_registry")
