"""The techniques: each takes a Keras model and settings and gives a fine-tuned Keras model without wrappers.

    pruned = apply("prune", base, Data(x, y), recipe)
    clustered = apply("sparse_cluster", pruned, Data(x, y), recipe)
    quantized = apply("pcqat", clustered, Data(x, y), recipe)

The model given is left as it was.  The same model, data and recipe give the same result on the same machine.
`survival.check` says whether the result holds what the technique promises.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from hil.harness.errors import OptimizeError
from hil.harness.model import Recipe
from hil.harness.optimize.keras2 import import_keras, import_tfmot, quiet, seeded
from hil.harness.optimize.layers import TOUCHED, is_clusterable, is_prunable, refuse_nested
from hil.harness.optimize.quantized import make_quantization_aware, settle
from hil.harness.optimize.training import Data, Plan, Progress, fit, mask_interval
from hil.npu.errors import BadInputError

__all__ = ["STEPS", "Data", "Progress", "apply"]

Loss = str | Callable[[], Any]
_CLUSTER_MODULE = "tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster"


def prune(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """Sets the smallest weights of each kernel to zero, more and more of them up to `recipe.sparsity`."""
    sparsity = import_tfmot().sparsity.keras
    interval, last = mask_interval(plan.steps(len(data.x)))
    schedule = sparsity.PolynomialDecay(0.0, recipe.sparsity, begin_step=0, end_step=last, frequency=interval)

    def wrap(layer: Any) -> Any:
        if not is_prunable(layer, recipe.keep):
            return layer
        return sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

    wrapped = _rewrapped(model, wrap, "prune")
    fit(wrapped, data, plan, [sparsity.UpdatePruningStep()])
    with quiet():
        return sparsity.strip_pruning(wrapped)


def cluster(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """Leaves each kernel `recipe.clusters` distinct weights."""
    return _cluster(model, data, recipe, plan, preserve_sparsity=False)


def sparse_cluster(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """The same on a pruned model; one of the clusters is zero, and what is zero stays zero."""
    return _cluster(model, data, recipe, plan, preserve_sparsity=True)


def _cluster(model: Any, data: Data, recipe: Recipe, plan: Plan, *, preserve_sparsity: bool) -> Any:
    """Only kernels are wrapped: TFMOT's wrapper would freeze batch normalization and dropout as well."""
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

    wrapped = _rewrapped(model, wrap, plan.text)
    fit(wrapped, data, plan)
    with quiet():
        return clustering.strip_clustering(wrapped)


def _quantize(technique: str) -> Callable[[Any, Data, Recipe, Plan], Any]:
    def step(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
        aware = make_quantization_aware(model, technique, recipe.repairs)
        fit(aware, data, plan)
        return settle(aware, recipe.repairs)

    return step


STEPS: dict[str, Callable[[Any, Data, Recipe, Plan], Any]] = {
    "prune": prune,
    "cluster": cluster,
    "sparse_cluster": sparse_cluster,
    **{name: _quantize(name) for name in ("qat", "pqat", "cqat", "pcqat")},
}
"""Technique -> the function that applies it."""


def apply(
    technique: str, model: Any, data: Data, recipe: Recipe, loss: Loss = "logits", progress: Progress | None = None
) -> Any:
    """Applies one training technique, seeded by the recipe.

    Raises `BadInputError` for a name that is no training technique, `OptimizeError` if TFMOT cannot take the model, if
    it holds another model, or if there is no layer for the technique to touch.
    """
    if technique not in STEPS:
        raise BadInputError(f"{technique} is no training technique", hint=f"known: {', '.join(STEPS)}")
    refuse_nested(model, technique)
    tune = recipe.fine_tune(technique)
    plan = Plan(tune, recipe.batch_size, recipe.seed, loss, progress, technique)
    with seeded(recipe.seed):
        return STEPS[technique](model, data, recipe, plan)


def _rewrapped(model: Any, wrap: Callable[[Any], Any], technique: str) -> Any:
    """A copy of `model` with `wrap` applied to its layers, weights included; `OptimizeError` if it wraps none."""
    touched = []

    def noted(layer: Any) -> Any:
        wrapped = wrap(layer)
        touched.extend([layer] if wrapped is not layer else [])
        return wrapped

    models = import_keras().models
    try:
        with quiet():
            copy = models.clone_model(model)
            copy.set_weights(model.get_weights())
            made = models.clone_model(copy, clone_function=noted)
    except (RuntimeError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OptimizeError(f"{technique}: TFMOT cannot wrap this model: {line}") from error
    if not touched:
        raise OptimizeError(
            f"{technique} would change no layer of this model",
            hint=f"it touches {', '.join(TOUCHED)}, unless Recipe.keep names them or they are tiny",
        )
    return made
