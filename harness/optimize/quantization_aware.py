"""Quantization-aware training: plain, and preserving zeros (PQAT), clusters (CQAT) or both (PCQAT).

TFMOT wraps every layer in one that applies fake quantization to weights and activations.  The preserving schemes add
variables for the training (masks, centroids, indices).  After it the kernels no longer need them: a masked weight got
no gradient and stayed zero, a clustered kernel was assigned at every step.  So `with_default_quantizers` returns a
model with TFMOT's default quantizers and the same outputs, which is saved, loaded and converted like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hil.core.errors import OptimizeError
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot, quiet
from hil.harness.optimize.layers import weight_name
from hil.harness.optimize.per_tensor import quantize_per_tensor
from hil.harness.optimize.repairs import repairs, revive_dead_channels


def make_quantization_aware(model: Any, technique: str, enabled: Collection[str]) -> Any:
    """Returns a copy of `model` with fake quantization in its graph, by the scheme of `technique`.

    `enabled` names the repairs of TFMOT.  `preserve_sparsity` is always set: TFMOT's default is True, also for CQAT.
    """
    if technique == "npu_pcqat":
        return _applied(lambda: quantize_per_tensor(model), technique, enabled)
    quantization, combine = import_tfmot().quantization.keras, import_tfmot().experimental.combine
    scheme = {
        "qat": lambda: None,
        "pqat": combine.Default8BitPrunePreserveQuantizeScheme,
        "cqat": lambda: combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=False),
        "pcqat": lambda: combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True),
    }[technique]()

    def apply() -> Any:
        annotated = quantization.quantize_annotate_model(model)
        return quantization.quantize_apply(*((annotated,) if scheme is None else (annotated, scheme)))

    return _applied(apply, technique, enabled)


def _applied(apply: Callable[[], Any], technique: str, enabled: Collection[str]) -> Any:
    try:
        with quiet(), repairs(enabled):
            return apply()
    except (RuntimeError, ValueError) as error:
        raise OptimizeError(
            f"{technique}: TFMOT cannot quantize this model: {_first_line(error)}",
            hint="Conv2D, DepthwiseConv2D and Dense with batch normalization and ReLU work",
        ) from error


def with_default_quantizers(trained: Any, enabled: Collection[str]) -> Any:
    """Returns the trained model with TFMOT's default quantizers: same outputs and weights, no scheme variables.

    `enabled` names the repairs of TFMOT; `dead_channels` acts here, on the trained ranges.
    """
    keras, quantization = import_keras(), import_tfmot().quantization.keras
    with quiet(), quantization.quantize_scope():
        plain = keras.models.clone_model(trained)
    for source, target in zip(trained.layers, plain.layers, strict=True):
        values = {weight_name(v): v.numpy() for v in source.weights}
        for variable in target.weights:
            variable.assign(values[weight_name(variable)])
    revive_dead_channels(plain, enabled)
    return plain


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
