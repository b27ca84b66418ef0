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
from hil.harness.blame import first_cause
from hil.harness.optimize.float_layers import stays_in_float, supported_by_default
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot, quiet
from hil.harness.optimize.layers import weight_name
from hil.harness.optimize.per_tensor import quantize_per_tensor
from hil.harness.optimize.quantize_configs import own_config
from hil.harness.optimize.repairs import repairs, revive_dead_channels, settle_clusters
from hil.harness.optimize.replaced_attributes import replaced


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
        annotated = import_keras().models.clone_model(model, clone_function=_annotated)
        with quantization.quantize_scope():  # which configurations of one's own need to be copied
            return quantization.quantize_apply(*((annotated,) if scheme is None else (annotated, scheme)))

    return _applied(apply, technique, enabled)


def _annotated(layer: Any) -> Any:
    """Marks a layer for fake quantization, unless it stays in float."""
    config = own_config(layer)
    if config is None and stays_in_float(layer):
        return layer
    return import_tfmot().quantization.keras.quantize_annotate_layer(layer, quantize_config=config)


def _applied(apply: Callable[[], Any], technique: str, enabled: Collection[str]) -> Any:
    try:
        with quiet(), repairs(enabled), _built_once(), supported_by_default():
            return apply()
    except Exception as error:  # TFMOT raises whatever Keras raises at what it rebuilt
        raise OptimizeError(
            f"{technique}: TFMOT cannot quantize this model: {type(error).__name__}: {first_cause(error)}",
            hint="post-training quantization may take it: ptq, prune, cluster, sparse_cluster, npu_sparse_cluster",
        ) from error


def _built_once() -> Any:
    """Marks a copied layer as built: Keras 2 would build one whose `build` calls no `super().build` once more."""
    layer = import_keras().layers.Layer
    original = layer.build_from_config

    def build(self: Any, config: dict[str, Any]) -> None:
        original(self, config)
        self.built = self.built or config.get("input_shape") is not None

    return replaced(layer, build_from_config=build)


def with_default_quantizers(trained: Any, enabled: Collection[str]) -> Any:
    """Returns the trained model with TFMOT's default quantizers: same outputs and weights, no scheme variables.

    `enabled` names the repairs of TFMOT; `kernel_regularizer` and `dead_channels` act here, on the trained kernels and
    ranges.
    """
    settle_clusters(trained, enabled)
    keras, quantization = import_keras(), import_tfmot().quantization.keras
    with quiet(), quantization.quantize_scope(), _built_once():
        plain = keras.models.clone_model(trained)
    for source, target in zip(trained.layers, plain.layers, strict=True):
        if len(source.weights) == len(target.weights):
            target.set_weights(source.get_weights())  # by place: both directions of a Bidirectional have a "kernel"
            continue
        values = {weight_name(v): v.numpy() for v in source.weights}
        for variable in target.weights:
            variable.assign(values[weight_name(variable)])
    revive_dead_channels(plain, enabled)
    return plain
