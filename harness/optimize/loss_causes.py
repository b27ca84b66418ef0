"""Causes of a broken promise: why a layer lost its zeros or clusters, where the model or the file shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.weights import read_tflite
from hil.harness.model import Recipe
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.layers import flat_layers, kernels, unwrap
from hil.harness.optimize.operator_layers import named_after
from hil.harness.optimize.paths import PRESERVING, PRUNING
from hil.harness.optimize.promises import Promise
from hil.harness.optimize.recurrent import recurrent_layers


@dataclass(frozen=True)
class Cause:
    """Reason for a loss, and a hint if there is something to do."""

    reason: str
    hint: str = ""


def cause_in_keras(promise: Promise, before: Any, after: Any, step: str, recipe: Recipe) -> Cause | None:
    """Finds why `step`, applied to `before`, broke a promise; None if the models do not show it."""
    kernel = _kernel(after, promise)
    if np.isnan(kernel).any():
        return Cause("its weights are NaN: the training diverged", f"lower the learning rate of Recipe.{step}")
    if promise.step == step and step in PRUNING:
        return _ties(kernel, promise)
    if step in PRESERVING:
        return _cause_in_scheme(promise, before, step, recipe)
    return None


def _kernel(model: Any, promise: Promise) -> Array:
    wanted = promise.layer, promise.kernel
    return next(values for layer, kernel, values in kernels(model) if (layer.name, kernel) == wanted)


def _ties(kernel: Array, promise: Promise) -> Cause | None:
    """Finds weights of equal magnitude at the threshold, which pruning by magnitude leaves or removes together."""
    magnitudes, counts = np.unique(np.abs(kernel), return_counts=True)
    nonzero = counts[magnitudes > 0]
    if len(nonzero) and nonzero[0] > 1 and int(nonzero[0]) + np.count_nonzero(kernel == 0) >= promise.bound:
        return Cause(f"{nonzero[0]} of its weights have the same magnitude, and pruning by magnitude leaves them all")
    return None


def _cause_in_scheme(promise: Promise, before: Any, step: str, recipe: Recipe) -> Cause | None:
    """Finds what keeps a preserving scheme of TFMOT from a layer of the flat model `before`."""
    layer = next(layer for layer in flat_layers(before) if layer.name == promise.layer)
    readers = [unwrap(node.layer) for node in layer._outbound_nodes]
    kernel = _kernel(before, promise)
    off = {"relu_layer", "shared_quantizer", "per_channel_guess", "kernel_regularizer"} - set(recipe.repairs)
    if "relu_layer" in off and readers and all(_is_relu(reader) for reader in readers):
        return _switched_off("relu_layer", "a separate ReLU reads it")
    if "shared_quantizer" in off and step == "pcqat" and (dense := _without_zeros(before, type(layer).__name__)):
        return _switched_off("shared_quantizer", f"layer {dense} has no zeros")
    if "per_channel_guess" in off and promise.kind == "clusters" and type(layer).__name__ == "Conv2D":
        return _switched_off("per_channel_guess", "TFMOT took it for a layer that was clustered per channel")
    if "kernel_regularizer" in off and promise.kind == "clusters" and getattr(layer, "kernel_regularizer", None):
        return _switched_off("kernel_regularizer", "it has a regularizer, which moves weights out of their cluster")
    if promise.kind == "clusters" and np.unique(kernel).size == 1:
        return Cause("all its weights were equal, and TFMOT preserves no single cluster")
    return None


def _switched_off(repair: str, reason: str) -> Cause:
    return Cause(f"{reason}, and the repair {repair} is switched off", f"name {repair} in Recipe.repairs")


def _is_relu(layer: Any) -> bool:
    return type(layer).__name__ == "ReLU" or (
        type(layer).__name__ == "Activation" and layer.get_config()["activation"] == "relu"
    )


def _without_zeros(model: Any, kind: str) -> str:
    """Returns the name of the first layer of a kind whose kernel has no zeros; empty if there is none."""
    return next(
        (layer.name for layer, _, values in kernels(model) if type(layer).__name__ == kind and values.all()), ""
    )


def cause_in_file(promise: Promise, row: LayerWeights, *, lost_in_keras: bool) -> Cause | None:
    """Finds why an operator of an int8 file breaks a promise; None if the file does not show it."""
    if lost_in_keras:
        return Cause("the Keras model that was converted had lost them already")
    if promise.kind == "clusters" and promise.whole and row.scales > 1:
        return Cause(
            f"its kernel has {row.scales} scales, so that its channels do not agree",
            "a path for the NPU ends in npu_ptq or npu_pcqat, which use one scale a kernel",
        )
    return None


def cause_of_absence(content: bytes, model: Any, layer: str) -> Cause | None:
    """Finds why no operator of an int8 file holds a layer's kernel."""
    if any(found.name == layer for found in recurrent_layers(model)):
        return Cause("no tensors of it hold the weights of each gate")
    operators = named_after(read_tflite(content), layer, model)
    if not operators:
        return Cause("TensorFlow's converter removed it, as it does where the output does not depend on a layer")
    first = operators[0]
    if first.weights is None:
        return Cause(f"its operator {first.kind} has no constant weights")
    return Cause(f"TensorFlow's converter folded it into {first.kind} with weights {list(first.weights.shape)}")
