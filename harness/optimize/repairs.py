"""Workarounds for six silent defects of TFMOT 0.8.1, each with a name and each can be switched off.

    with repairs():                                   # all of them
        ...
    with repairs({"relu_layer"}):                     # one
        ...

Measured on TensorFlow 2.19.1; the tests show each defect and its repair.  With a repair off, `survival` or the
conversion catches all but `calibrated_ranges`, which `clipped_outputs` catches where an output is cut off.

==================  ==================================================================================================
per_channel_guess   CQAT and PCQAT guess that a kernel was clustered per channel when all its channels have about the
                    same number of distinct weights.  That is normal for a wide layer clustered as a whole; it then
                    gets centroids of its own in every channel, 16 weights become thousands, and training is slow.
                    Repair: a kernel is taken as a whole, since no technique here clusters per channel.
shared_quantizer    CQAT and PCQAT share one weight quantizer among all Conv2D layers (and one among all Dense).  The
                    first layer without zeros switches off the preservation of zeros for all of them.
                    Repair: a quantizer for each layer.
relu_layer          A Conv2D, DepthwiseConv2D or Dense followed directly by a separate ReLU loses its weight
                    quantizer, and with it the preservation of zeros and clusters.
                    Repair: only its output is left unquantized, as TFMOT does before batch normalization.
dead_channels       A channel whose weights are all zero gets the scale 4e-9 in quantization-aware training; its bias
                    then does not fit 32 bits and is clipped, which costs 16 points of accuracy in a small network.
                    Repair: the channel gets the range of its layer (`revive_dead_channels`); zero stays zero.
calibrated_ranges   The activation ranges of QAT, PQAT, CQAT and PCQAT begin with -6 to 6 and move by a thousandth a
                    batch.  After a short training an output of 5 to 95 is cut off at 6: the mean error of a regression
                    rose from 0.7 to 39.  Activations of 0 to 0.3 have six steps.
                    Repair: they begin with the float network's ranges on `Recipe.calibration` samples
                    (`set_activation_ranges`), as `npu_pcqat` always does.
kernel_regularizer  CQAT and PCQAT overwrite a kernel by its centroids in each step, but a regularizer of the kernel
                    still moves it behind them: by the optimizer's history, which differs for a weight that has changed
                    its cluster.  The last step remains, and 16 weights are 19, some of them a ten-millionth apart.
                    Repair: the weights of a cluster become equal after the training (`settle_clusters`).
==================  ==================================================================================================
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from hil.harness.model import REPAIRS
from hil.harness.optimize.keras.keras2 import import_tfmot
from hil.harness.optimize.layers import unwrap, weight_name
from hil.harness.optimize.replaced_attributes import replaced

_QUANTIZATION = "tensorflow_model_optimization.python.core.quantization.keras."
_CLUSTER_PRESERVE = _QUANTIZATION + "collab_opts.cluster_preserve.cluster_preserve_quantize_registry"
_TRANSFORMS = _QUANTIZATION + "default_8bit.default_8bit_transforms"
_ACTIVATION = _QUANTIZATION + "quantize_aware_activation"


@contextmanager
def repairs(enabled: Collection[str] = REPAIRS) -> Iterator[None]:
    """Patches TFMOT while the block runs.

    Three are no patches: `dead_channels` is `revive_dead_channels`, `calibrated_ranges` is `set_activation_ranges`,
    `kernel_regularizer` is `settle_clusters`.
    """
    import_tfmot()
    with ExitStack() as stack:
        for name, repair in _PATCHES.items():
            if name in enabled:
                stack.enter_context(repair())
        yield


def _per_channel_guess() -> Any:
    registry = importlib.import_module(_CLUSTER_PRESERVE)

    def get_centroids(_layer: Any, weight: Any, _data_format: Any) -> Any:
        values, indices = registry.get_unique(weight)
        return values, len(values), indices, False

    return replaced(registry, get_centroids=get_centroids)


def _shared_quantizer() -> Any:
    registry = importlib.import_module(_CLUSTER_PRESERVE)
    owner = registry.ClusterPreserveQuantizeRegistry
    original = owner.apply_cluster_preserve_quantize_config

    def apply(self: Any, layer: Any, quantize_config: Any) -> Any:
        shared = self._config_quantizer_map
        self._config_quantizer_map = {key: type(value)(value.preserve_sparsity) for key, value in shared.items()}
        try:
            return original(self, layer, quantize_config)
        finally:
            self._config_quantizer_map = shared

    return replaced(owner, apply_cluster_preserve_quantize_config=apply)


def _relu_layer() -> Any:
    transforms = importlib.import_module(_TRANSFORMS)
    no_op = importlib.import_module(_ACTIVATION).NoOpActivation
    owner = transforms.LayerReLUQuantize  # LayerReluActivationQuantize inherits from it
    original = owner.replacement

    def replacement(self: Any, match_layer: Any) -> Any:
        node = match_layer.input_layers[0]
        if node.layer["class_name"] == "Add" or node.layer["config"]["activation"] != "linear":
            return original(self, match_layer)
        if node.metadata.get("quantize_config") is None:
            node.layer["config"]["activation"] = transforms.quantize_utils.serialize_activation(
                no_op(), use_legacy_format=True
            )
        return match_layer

    def custom_objects(self: Any) -> dict[str, Any]:
        return {
            "NoOpQuantizeConfig": transforms.default_8bit_quantize_configs.NoOpQuantizeConfig,
            "NoOpActivation": no_op,
        }

    return replaced(owner, replacement=replacement, custom_objects=custom_objects)


_PATCHES = {"per_channel_guess": _per_channel_guess, "shared_quantizer": _shared_quantizer, "relu_layer": _relu_layer}


def settle_clusters(trained: Any, enabled: Collection[str] = REPAIRS) -> None:
    """Gives the weights of each cluster their median, in every kernel that is trained with its clusters preserved."""
    if "kernel_regularizer" not in enabled:
        return
    registry = importlib.import_module(_CLUSTER_PRESERVE)
    for layer in trained.layers:
        for kernel, _, variables in getattr(layer, "_weight_vars", ()):
            centroids = variables.get(registry.CLUSTER_CENTROIDS) if isinstance(variables, dict) else None
            if centroids is None or len(centroids.shape) != 1:  # those of single channels are numbered by channel
                continue
            values, clusters = kernel.numpy(), variables[registry.PULLING_INDICES].numpy()
            for cluster in np.unique(clusters):
                members = clusters == cluster
                values[members] = np.median(values[members])
            kernel.assign(values)


def revive_dead_channels(model: Any, enabled: Collection[str] = REPAIRS) -> list[str]:
    """Sets the quantization range of all-zero channels to that of their layer; returns the names of changed layers.

    The weight quantizer maps zero to zero for every range, so the model computes what it did before.
    """
    if "dead_channels" not in enabled:
        return []
    changed = []
    for outer in model.layers:
        variables = {weight_name(v): v for v in outer.weights}
        low, high = variables.get("kernel_min"), variables.get("kernel_max")
        if low is None or high is None or len(low.shape) != 1:
            continue
        kernel = variables["kernel"].numpy()
        dead = ~np.any(kernel.reshape(-1, kernel.shape[-1]), axis=0)
        if len(dead) != low.shape[0] or not dead.any():
            continue
        widest = float(np.abs(high.numpy()[~dead]).max()) if not dead.all() else 1.0
        low.assign(np.where(dead, -widest, low.numpy()))
        high.assign(np.where(dead, widest, high.numpy()))
        changed.append(unwrap(outer).name)
    return changed
