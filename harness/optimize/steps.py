"""The techniques: each takes a Keras model and settings and returns a fine-tuned Keras model without wrappers.

    pruned = apply("prune", base, Samples(x, y), recipe)
    clustered = apply("sparse_cluster", pruned, Samples(x, y), recipe)
    quantized = apply("pcqat", clustered, Samples(x, y), recipe)

The input model is not changed.  The same model, data and recipe give the same result on the same machine.
`apply_checked` also returns the promises of zeros and clusters after the step, checked:

    step = apply_checked("prune", base, Samples(x, y), recipe)
    step = apply_checked("pqat", step.model, Samples(x, y), recipe, step.promises)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples
from hil.harness.model import Recipe
from hil.harness.optimize.activation_ranges import set_activation_ranges
from hil.harness.optimize.batchnorm_folding import fold, fold_where_unquantized
from hil.harness.optimize.canonical.network import canonical_network
from hil.harness.optimize.clustering import cluster_layer
from hil.harness.optimize.frozen_layers import thawed
from hil.harness.optimize.keras.keras2 import import_tfmot, own_gradients, quiet, seeded
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.layers import RECURRENT
from hil.harness.optimize.network_inputs import Progress, check_samples
from hil.harness.optimize.npu_steps import STEPS as NPU_STEPS
from hil.harness.optimize.paths import CLUSTERING, PRUNING
from hil.harness.optimize.promises import Promise, promises_after
from hil.harness.optimize.pruning import prune_layers, wrap_layers
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.recurrent import recurrent_layers
from hil.harness.optimize.selection import check_names, cluster_counts, sparsities, touched_layers
from hil.harness.optimize.survival import check_keras
from hil.harness.optimize.training import DEFAULT_GOAL, LearningGoal, TrainingPlan, calibration_of, fit
from hil.harness.optimize.training_history import OnEpoch

__all__ = ["FOLD", "STEPS", "LearningGoal", "Progress", "Samples", "apply", "apply_checked"]

FOLD = "fold"
_FOLDED = ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat")
_CLUSTER_MODULE = "tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster"


def prune(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Prunes each kernel by magnitude to `recipe.sparsity`."""
    return prune_layers(model, data, recipe, plan, sparsities("prune", model, recipe))


def cluster(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters each kernel to `recipe.clusters` distinct weights."""
    return _cluster("cluster", model, data, recipe, plan)


def sparse_cluster(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters a pruned model; zeros stay zero, and zero is one of the clusters."""
    return _cluster("sparse_cluster", model, data, recipe, plan)


def _cluster(technique: str, model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Wraps only layers with kernels: TFMOT's wrapper would freeze batch normalization and dropout as well.

    TFMOT has no clustering of recurrent layers: their kernels are clustered first, and `training` preserves that.
    """
    clustering = import_tfmot().clustering.keras
    cluster_weights = importlib.import_module(_CLUSTER_MODULE).cluster_weights
    counts, sparse = cluster_counts(technique, model, recipe), technique == "sparse_cluster"

    def wrap(layer: Any) -> Any:
        if layer.name not in counts:
            return layer
        if type(layer).__name__ in RECURRENT:
            cluster_layer(layer, counts[layer.name], zero=sparse)
            return layer
        return cluster_weights(
            layer,
            number_of_clusters=counts[layer.name],
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=sparse,
        )

    wrapped = wrap_layers(model, wrap, plan.text, counts)
    loops = {layer.name for layer in recurrent_layers(wrapped)}
    fit(wrapped, data, replace(plan, preserved=plan.preserved | (loops & counts.keys())))
    with quiet():
        return clustering.strip_clustering(wrapped)


def _quantize(technique: str) -> Callable[[Any, Samples, Recipe, TrainingPlan], Any]:
    def step(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan) -> Any:
        aware = make_quantization_aware(model, technique, recipe.repairs)
        if "calibrated_ranges" in recipe.repairs:
            set_activation_ranges(aware, calibration_of(data, recipe, plan).x)
        fit(aware, data, plan)
        return with_default_quantizers(aware, recipe.repairs)

    return step


STEPS: dict[str, Callable[[Any, Samples, Recipe, TrainingPlan], Any]] = {
    "prune": prune,
    "cluster": cluster,
    "sparse_cluster": sparse_cluster,
    **{name: _quantize(name) for name in ("qat", "pqat", "cqat", "pcqat")},
    **NPU_STEPS,
}
"""Technique that trains -> the function that applies it."""


def apply(
    technique: str,
    model: Any,
    data: Samples,
    recipe: Recipe,
    goal: LearningGoal = DEFAULT_GOAL,
    progress: Progress | None = None,
    earlier: Sequence[Promise] = (),
    on_epoch: OnEpoch | None = None,
) -> Any:
    """Applies one technique that returns a Keras model, seeded by the recipe, from the canonical form of the model.

    What `earlier` steps promised of layers that this one does not touch is preserved in its training.  Raises
    `BadInputError` for an unknown name or samples of another shape, `OptimizeError` if TFMOT refuses the model, or if
    the technique would change no layer.
    """
    if technique not in (FOLD, *STEPS):
        raise BadInputError(f"{technique} is no training technique", hint=f"known: {', '.join((FOLD, *STEPS))}")
    if technique == FOLD:
        return fold(model)
    model = starting_network(model, technique)
    check_samples(model, data)
    if technique in (*PRUNING, *CLUSTERING):
        check_names(model, recipe)
    tune = recipe.fine_tune(technique)
    spared = frozenset(promise.layer for promise in earlier) - touched_layers(technique, model, recipe)
    plan = TrainingPlan(tune, recipe.batch_size, recipe.seed, goal, progress, technique, spared, on_epoch)
    with seeded(recipe.seed), thawed(model), own_gradients():
        return STEPS[technique](model, data, recipe, plan)


def starting_network(model: Any, technique: str) -> Any:
    """Returns the network that a technique is applied to: the canonical form, without what TFMOT leaves in float."""
    network = canonical_network(model, technique)
    return fold_where_unquantized(network) if technique in _FOLDED else network


@dataclass(frozen=True)
class Optimized:
    """Keras model after a technique, the promises that it keeps, and its kernels as measured."""

    model: Any
    promises: tuple[Promise, ...]
    weights: list[LayerWeights]


def apply_checked(
    technique: str,
    model: Any,
    data: Samples,
    recipe: Recipe,
    earlier: Sequence[Promise] = (),
    goal: LearningGoal = DEFAULT_GOAL,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
) -> Optimized:
    """Applies a technique to a model with the promises `earlier`; raises `LostError` for a promise that is broken."""
    before = model if technique == FOLD else starting_network(model, technique)
    after = apply(technique, before, data, recipe, goal, progress, earlier, on_epoch)
    promises = promises_after(technique, before, earlier, recipe)
    return Optimized(after, promises, check_keras(before, after, promises, technique, recipe))
