"""Layers that quantization-aware training leaves in float; the conversion takes their ranges from calibration samples.

    stays_in_float(layer)              # True for a GRU, LayerNormalization, MultiHeadAttention, an operator, ...
    lines = float_notes("qat", aware)  # "layer memory (GRU): qat trains it in float, quantized after training"

TFMOT's registry lacks them, and most are several operators, each of which needs a range.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from hil.harness.optimize.keras.keras2 import import_tfmot
from hil.harness.optimize.layers import is_wrapped, unwrap
from hil.harness.optimize.quantize_configs import is_several_operators, own_config

_REGISTRY = "tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_registry"
_INPUTS = ("InputLayer", "QuantizeLayer")


def stays_in_float(layer: Any) -> bool:
    """Returns whether neither TFMOT nor a configuration of our own has fake quantization for a layer."""
    if own_config(layer) is not None:
        return is_several_operators(layer)
    import_tfmot()
    return not importlib.import_module(_REGISTRY).Default8BitQuantizeRegistry().supports(layer)


def float_layers(aware: Any) -> Iterator[Any]:
    """Iterates over the layers of a quantization-aware model that have no fake quantization."""
    layers = (layer for layer in aware.layers if type(layer).__name__ not in _INPUTS)
    return (unwrap(layer) for layer in layers if not is_wrapped(layer) or is_several_operators(unwrap(layer)))


def float_notes(technique: str, aware: Any) -> list[str]:
    """Describes, in lines, the layers that a quantization-aware training left in float."""
    kinds = ((layer.name, type(layer).__name__) for layer in float_layers(aware))
    return [f"layer {name} ({kind}): {technique} trains it in float, quantized after training" for name, kind in kinds]
