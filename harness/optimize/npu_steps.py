"""Techniques for the NPU, whose zeros and clusters survive into Vela's encoded weights.

==================  ==================================================================================================
npu_prune           `prune` in the layers that `npu_rules` names, before `fold`
npu_cluster         after `fold`: at most `clusters` distinct weights a kernel, 32 where `npu_rules` spares a layer
npu_sparse_cluster  `npu_cluster` on a pruned model: zero is one of the clusters
npu_pcqat           quantization-aware training with one scale a kernel; preserves zeros and clusters
==================  ==================================================================================================

Pruned after the fold instead, a keyword spotter lost 2 points more at half zeros, and 31 at four fifths: without
batch normalization the fine-tuning cannot compensate for the weights that are removed.

With one scale for the whole kernel, and no batch normalization left to fold, 16 weights are 16 int8 values.  With a
scale for each channel, as TensorFlow gives by default, they become dozens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hil.core.errors import OptimizeError
from hil.harness.data.samples import Samples
from hil.harness.model import Recipe
from hil.harness.optimize.activation_ranges import set_activation_ranges
from hil.harness.optimize.clustering import PreservedClusters, cluster_layer
from hil.harness.optimize.keras.flat_graph import LayerCopies, replay
from hil.harness.optimize.keras.keras2 import quiet
from hil.harness.optimize.npu_rules import clustered_layers, decide
from hil.harness.optimize.pruning import prune_layers
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.selection import cluster_counts, sparsities
from hil.harness.optimize.training import TrainingPlan, calibration_of, fit

T = TypeVar("T", int, float)


def npu_prune(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Prunes the layers that the rules name, by magnitude."""
    shares = _some(sparsities("npu_prune", model, recipe), model, recipe, plan)
    return prune_layers(model, data, recipe, plan, shares)


def npu_cluster(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters each kernel to the number of distinct weights that the rules give."""
    return _clustered("npu_cluster", model, data, recipe, plan)


def npu_sparse_cluster(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters a pruned model; zeros stay zero, and zero is one of the clusters."""
    return _clustered("npu_sparse_cluster", model, data, recipe, plan)


def npu_pcqat(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Fine-tunes with fake quantization; every clustered kernel preserves its clusters and zeros."""
    aware = make_quantization_aware(model, "npu_pcqat", recipe.repairs)
    set_activation_ranges(aware, calibration_of(data, recipe, plan).x)
    fit(aware, data, plan, [PreservedClusters.of_model(aware, clustered_layers(model, recipe)).callback])
    return with_default_quantizers(aware, recipe.repairs)


STEPS: dict[str, Callable[[Any, Samples, Recipe, TrainingPlan], Any]] = {
    "npu_prune": npu_prune,
    "npu_cluster": npu_cluster,
    "npu_sparse_cluster": npu_sparse_cluster,
    "npu_pcqat": npu_pcqat,
}


def _clustered(technique: str, model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    zero, copies = technique == "npu_sparse_cluster", LayerCopies()
    with quiet():
        made = replay(model, copies)
        copies.fill()
    values = _some(cluster_counts(technique, made, recipe), made, recipe, plan)
    for layer in made.layers:
        if layer.name in values:
            cluster_layer(layer, values[layer.name], zero=zero)
    fit(made, data, plan, [PreservedClusters.of_model(made, values).callback])
    return made


def _some(found: dict[str, T], model: Any, recipe: Recipe, plan: TrainingPlan) -> dict[str, T]:
    """Returns `found`; raises `OptimizeError` with the reasons if the rules leave no layer for the technique."""
    if not found:
        reasons = "; ".join(decision.line for decision in decide(model, recipe))
        raise OptimizeError(f"{plan.text} would change no layer of this model: {reasons or 'it has no weights'}")
    return found
