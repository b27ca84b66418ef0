"""Magnitude pruning with a sparsity for each layer, reached by a schedule.

    pruned = prune_layers(model, data, recipe, plan, {"conv": 0.5, "pw1": 0.8})

"polynomial" raises the sparsity step by step over the first 60 % of the training (Zhu and Gupta, 2017), "constant" sets
it at the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from hil.core.errors import OptimizeError
from hil.harness.blame import first_cause
from hil.harness.data.samples import Samples
from hil.harness.model import Recipe
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, import_tfmot, quiet
from hil.harness.optimize.layers import TOUCHED, kernel_variables
from hil.harness.optimize.training import TrainingPlan, fit, mask_interval


def prune_layers(model: Any, data: Samples, recipe: Recipe, plan: TrainingPlan, shares: Mapping[str, float]) -> Any:
    """Returns a pruned and fine-tuned copy of `model`; `shares` maps the layers to prune to their share of zeros."""
    sparsity = import_tfmot().sparsity.keras
    interval, last = mask_interval(plan.steps(len(data)))

    def wrap(layer: Any) -> Any:
        share = shares.get(layer.name)
        if share is None:
            return layer
        if recipe.schedule == "constant":
            schedule = sparsity.ConstantSparsity(share, begin_step=0, frequency=interval)
        else:
            schedule = sparsity.PolynomialDecay(0.0, share, begin_step=0, end_step=last, frequency=interval)
        layer.get_prunable_weights = lambda: [kernel for _, kernel in kernel_variables(layer)]  # of a Bidirectional too
        return sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

    wrapped = wrap_layers(model, wrap, plan.text, shares)
    fit(wrapped, data, plan, [sparsity.UpdatePruningStep()])
    with quiet():
        return sparsity.strip_pruning(wrapped)


def wrap_layers(model: Any, wrap: Callable[[Any], Any], technique: str, touched: Collection[str]) -> Any:
    """Returns a copy of `model`, weights included, with `wrap` applied to its layers.

    Raises `OptimizeError` if TFMOT refuses the model, or if there are no layers that the technique has `touched`.
    """
    if not touched:
        raise OptimizeError(
            f"{technique} would change no layer of this model",
            hint=f"it touches {', '.join(TOUCHED)}, unless Recipe.keep names them or they are tiny",
        )

    def copied(layer: Any) -> Any:
        copy = layer.__class__.from_config(layer.get_config())
        with tf.name_scope(layer.name):  # as Keras names the weights when it calls a layer
            copy.build(layer.get_input_shape_at(0))  # of a shared layer, the calls may differ in height and width
        if len(copy.weights) == len(layer.weights):
            copy.set_weights(layer.get_weights())
        else:  # MultiHeadAttention builds its parts when it is called
            unbuilt.append((layer, copy))
        return wrap(copy)

    tf, unbuilt = import_tensorflow(), list[tuple[Any, Any]]()
    try:
        with quiet():
            made = import_keras().models.clone_model(model, clone_function=copied)
        for layer, copy in unbuilt:
            copy.set_weights(layer.get_weights())
    except (RuntimeError, ValueError, import_tensorflow().errors.InvalidArgumentError) as error:
        raise OptimizeError(f"{technique}: TFMOT cannot wrap this model: {first_cause(error)}") from error
    return made
