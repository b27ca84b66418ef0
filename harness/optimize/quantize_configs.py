"""Quantization of layers that TFMOT's registry lacks, by a configuration of TFMOT's own classes for each.

    config = own_config(layer)          # None for a layer that TFMOT's registry has

Layers of one operation get fake quantization at their output, which is all that the converter needs.  A layer of the
user's own is taken as such a layer; if it computes more than one operation, the conversion names what stays in float.
TFMOT's schemes that preserve zeros and clusters know no transposed convolution: it gets the default quantizer.  What a
Concatenate reads has it too.  `training` preserves the zeros and clusters of both (`loses_promises`).
"""

from __future__ import annotations

import importlib
from typing import Any

from hil.harness.optimize.canonical.activations import FUSED, activation_name
from hil.harness.optimize.keras.hard_swish import HARD_SWISH
from hil.harness.optimize.keras.keras2 import import_tfmot
from hil.harness.optimize.keras.own_layers import is_users_own
from hil.harness.optimize.layers import RECURRENT, unwrap

_DEFAULT = "tensorflow_model_optimization.python.core.quantization.keras.default_8bit."
_AT_OUTPUT = ("Subtract", "Multiply", "Maximum", "Minimum", "PReLU", "Resizing", HARD_SWISH)
_ACTIVATIONS_AT_OUTPUT = ("exponential",)
_ACTIVATIONS = (*FUSED, "swish", *_ACTIVATIONS_AT_OUTPUT)
PRESERVED_IN_TRAINING = ("Conv2DTranspose",)
"""Layers whose zeros and clusters TFMOT's schemes do not preserve."""


def loses_promises(layer: Any) -> bool:
    """Returns whether TFMOT's schemes preserve neither zeros nor clusters of a layer, so that `training` does it.

    They know no transposed convolution, give what a Concatenate reads the default quantizer, and leave recurrent layers
    in float.
    """
    return type(layer).__name__ in (*PRESERVED_IN_TRAINING, *RECURRENT) or feeds_concatenate(layer)


def feeds_concatenate(layer: Any) -> bool:
    """Returns whether a Concatenate reads a layer's output."""
    return any(type(unwrap(node.layer)).__name__ == "Concatenate" for node in layer._outbound_nodes)


def is_several_operators(layer: Any) -> bool:
    """Returns whether a layer is an activation of several operators, of which only the last would get a range."""
    return type(layer).__name__ == "Activation" and activation_name(layer) not in ("", *_ACTIVATIONS)


def own_config(layer: Any) -> Any:
    """Returns TFMOT's configuration for a layer that its registry lacks; None for all others."""
    import_tfmot()
    kind = type(layer).__name__
    if kind in PRESERVED_IN_TRAINING:
        registry = importlib.import_module(f"{_DEFAULT}default_8bit_quantize_registry")
        return registry.Default8BitConvTransposeQuantizeConfig(["kernel"], ["activation"], False)
    configs = importlib.import_module(f"{_DEFAULT}default_8bit_quantize_configs")
    if kind == "UpSampling2D" and type(layer._inbound_nodes[0].inbound_layers).__name__ == "AveragePooling2D":
        return configs.NoOpQuantizeConfig()  # the converter wants one scale before and behind both
    if is_several_operators(layer):
        return configs.NoOpQuantizeConfig()  # without one, TFMOT asks for the range of the output and refuses it
    if kind in _AT_OUTPUT or is_users_own(layer) or activation_name(layer) in _ACTIVATIONS_AT_OUTPUT:
        return configs.Default8BitOutputQuantizeConfig()
    return None
