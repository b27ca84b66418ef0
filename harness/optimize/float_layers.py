"""Layers that quantization-aware training leaves in float; the conversion takes their ranges from calibration samples.

    stays_in_float(layer)              # True for a GRU, LayerNormalization, MultiHeadAttention, an operator, ...
    lines = float_notes("qat", aware)  # "layer memory (GRU): qat trains it in float, quantized after training"

TFMOT's registry lacks them, and most are several operators, each of which needs a range.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hil.harness.optimize.keras.keras2 import import_tfmot
from hil.harness.optimize.layers import is_wrapped, unwrap
from hil.harness.optimize.quantize_configs import is_several_operators, own_config
from hil.harness.optimize.replaced_attributes import replaced

_KERAS = "tensorflow_model_optimization.python.core.quantization.keras."
_PRESERVING = {
    "collab_opts.prune_preserve.prune_preserve_quantize_registry": "PrunePreserveQuantizeRegistry",
    "collab_opts.cluster_preserve.cluster_preserve_quantize_registry": "ClusterPreserveQuantizeRegistry",
}
_INPUTS = ("InputLayer", "QuantizeLayer")
_TRANSFORMED = ("BatchNormalization", "SeparableConv1D", "SeparableConv2D")
"""Layers that TFMOT's transforms take, so that its registry has none of them."""


def stays_in_float(layer: Any) -> bool:
    """Returns whether neither TFMOT nor a configuration of our own has fake quantization for a layer."""
    if own_config(layer) is not None:
        return is_several_operators(layer)
    return type(layer).__name__ not in _TRANSFORMED and not _default_registry().supports(layer)


@contextmanager
def supported_by_default() -> Iterator[None]:
    """Lets TFMOT's preserving schemes support only what its default scheme does while the block runs.

    They claim every layer without weights, and then fail, because they ask the default scheme for its configuration.
    """
    default = _default_registry()
    with ExitStack() as stack:
        for module, name in _PRESERVING.items():
            owner = getattr(importlib.import_module(f"{_KERAS}{module}"), name)
            supports = _both(default.supports, owner.supports)
            stack.enter_context(replaced(owner, supports=staticmethod(supports)))
        yield


def _both(first: Callable[[Any], bool], second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda layer: first(layer) and second(layer)


def _default_registry() -> Any:
    import_tfmot()
    module = importlib.import_module(f"{_KERAS}default_8bit.default_8bit_quantize_registry")
    return module.Default8BitQuantizeRegistry()


def float_layers(aware: Any) -> Iterator[Any]:
    """Iterates over the layers of a quantization-aware model that have no fake quantization."""
    layers = (layer for layer in aware.layers if type(layer).__name__ not in _INPUTS)
    return (unwrap(layer) for layer in layers if not is_wrapped(layer) or is_several_operators(unwrap(layer)))


def float_notes(technique: str, aware: Any) -> list[str]:
    """Describes, in lines, the layers that a quantization-aware training left in float."""
    kinds = ((layer.name, type(layer).__name__) for layer in float_layers(aware))
    return [f"layer {name} ({kind}): {technique} trains it in float, quantized after training" for name, kind in kinds]
