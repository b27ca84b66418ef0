"""The techniques: each takes a Keras model and settings and returns a fine-tuned Keras model without wrappers.

    pruned = apply("prune", base, TrainingData(x, y), recipe)
    clustered = apply("sparse_cluster", pruned, TrainingData(x, y), recipe)
    quantized = apply("pcqat", clustered, TrainingData(x, y), recipe)

The input model is not changed.  The same model, data and recipe give the same result on the same machine.
`survival.check_keras` checks the zeros and clusters of the result.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.model import Recipe
from hil.harness.optimize.activation_ranges import set_activation_ranges
from hil.harness.optimize.batchnorm_folding import fold
from hil.harness.optimize.keras.flat_graph import flatten_model, is_nested
from hil.harness.optimize.keras.keras2 import import_tfmot, quiet, seeded
from hil.harness.optimize.layers import is_clusterable, refuse_nested
from hil.harness.optimize.npu_steps import STEPS as NPU_STEPS
from hil.harness.optimize.pruning import prunable_layers, prune_layers, wrap_layers
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.training import Progress, TrainingData, TrainingPlan, check_samples, fit

__all__ = ["FOLD", "STEPS", "Progress", "TrainingData", "apply"]

FOLD = "fold"
Loss = str | Callable[[], Any]
_CLUSTER_MODULE = "tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster"


def prune(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Prunes each kernel by magnitude to `recipe.sparsity`."""
    return prune_layers(model, data, recipe, plan, prunable_layers(model, recipe, "prune"))


def cluster(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters each kernel to `recipe.clusters` distinct weights."""
    return _cluster(model, data, recipe, plan, preserve_sparsity=False)


def sparse_cluster(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Clusters a pruned model; zeros stay zero, and zero is one of the clusters."""
    return _cluster(model, data, recipe, plan, preserve_sparsity=True)


def _cluster(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan, *, preserve_sparsity: bool) -> Any:
    """Wraps only layers with kernels: TFMOT's wrapper would freeze batch normalization and dropout as well."""
    clustering = import_tfmot().clustering.keras
    cluster_weights = importlib.import_module(_CLUSTER_MODULE).cluster_weights

    def wrap(layer: Any) -> Any:
        if not is_clusterable(layer, recipe.keep, recipe.clusters):
            return layer
        return cluster_weights(
            layer,
            number_of_clusters=recipe.clusters,
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=preserve_sparsity,
        )

    wrapped = wrap_layers(model, wrap, plan.text)
    fit(wrapped, data, plan)
    with quiet():
        return clustering.strip_clustering(wrapped)


def _quantize(technique: str) -> Callable[[Any, TrainingData, Recipe, TrainingPlan], Any]:
    def step(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
        aware = make_quantization_aware(model, technique, recipe.repairs)
        if "calibrated_ranges" in recipe.repairs:
            set_activation_ranges(aware, data.sample(recipe.calibration, recipe.seed).x)
        fit(aware, data, plan)
        return with_default_quantizers(aware, recipe.repairs)

    return step


STEPS: dict[str, Callable[[Any, TrainingData, Recipe, TrainingPlan], Any]] = {
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
    data: TrainingData,
    recipe: Recipe,
    loss: Loss = "logits",
    progress: Progress | None = None,
) -> Any:
    """Applies one technique that returns a Keras model, seeded by the recipe; nested models are flattened.

    Raises `BadInputError` for an unknown name or samples of another shape, `OptimizeError` if TFMOT refuses the model,
    or if the technique would change no layer.
    """
    if technique not in (FOLD, *STEPS):
        raise BadInputError(f"{technique} is no training technique", hint=f"known: {', '.join((FOLD, *STEPS))}")
    if technique == FOLD:
        return fold(model)
    if is_nested(model):
        model = flatten_model(model)
    refuse_nested(model, technique)
    check_samples(model, data.x)
    tune = recipe.fine_tune(technique)
    plan = TrainingPlan(tune, recipe.batch_size, recipe.seed, loss, progress, technique)
    with seeded(recipe.seed):
        return STEPS[technique](model, data, recipe, plan)
