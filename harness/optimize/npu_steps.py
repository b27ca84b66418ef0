"""Techniques that know the NPU: what they gain is still there in Vela's encoded weights.

==================  ==================================================================================================
npu_prune           like `prune`, in the layers that `rules` names; comes before `fold`
npu_cluster         behind `fold`: at most `clusters` distinct weights a kernel, 32 where `rules` spare a layer
npu_sparse_cluster  the same on a pruned model: zero is one of them
npu_pcqat           quantization-aware training with one scale a kernel; zeros and clusters are kept
==================  ==================================================================================================

Pruned behind the fold instead, a keyword spotter lost 2 points more at half zeros, and 31 at four fifths: without
batch normalization the training cannot make up for the weights that go.

With one scale for the whole kernel, and no batch normalization left to fold, 16 weights are 16 int8 values.  With a
scale for each channel, as TensorFlow gives by default, they become dozens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hil.core.errors import OptimizeError
from hil.harness.model import Recipe
from hil.harness.optimize.clustering import KeptClusters, clustered
from hil.harness.optimize.keras.flat_graph import Copies, replayed
from hil.harness.optimize.keras.keras2 import quiet
from hil.harness.optimize.npu_rules import clustered_layers, decide, pruned_layers
from hil.harness.optimize.per_tensor import set_ranges
from hil.harness.optimize.pruning import pruned
from hil.harness.optimize.quantization_aware import make_quantization_aware, settle
from hil.harness.optimize.training import TrainingData, TrainingPlan, fit

T = TypeVar("T", set[str], dict[str, int])


def npu_prune(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Sets the smallest weights to zero, in the layers that the rules name."""
    return pruned(model, data, recipe, plan, _some(pruned_layers(model, recipe), model, recipe, plan))


def npu_cluster(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Leaves each kernel few distinct weights, as many as the rules say."""
    return _clustered(model, data, recipe, plan, zero=False)


def npu_sparse_cluster(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """The same; what is zero stays zero, and is one of them."""
    return _clustered(model, data, recipe, plan, zero=True)


def npu_pcqat(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan) -> Any:
    """Trains with quantization in the graph; every clustered kernel keeps its clusters and zeros."""
    aware = make_quantization_aware(model, "npu_pcqat", recipe.repairs)
    set_ranges(aware, model, data.sample(recipe.calibration, recipe.seed).x)
    fit(aware, data, plan, [KeptClusters.found(aware, clustered_layers(model, recipe)).callback])
    return settle(aware, recipe.repairs)


STEPS: dict[str, Callable[[Any, TrainingData, Recipe, TrainingPlan], Any]] = {
    "npu_prune": npu_prune,
    "npu_cluster": npu_cluster,
    "npu_sparse_cluster": npu_sparse_cluster,
    "npu_pcqat": npu_pcqat,
}


def _clustered(model: Any, data: TrainingData, recipe: Recipe, plan: TrainingPlan, *, zero: bool) -> Any:
    copies = Copies()
    with quiet():
        made = replayed(model, copies)
        copies.fill()
    values = _some(clustered_layers(made, recipe), made, recipe, plan)
    for layer in made.layers:
        if layer.name in values:
            kernel, *rest = layer.get_weights()
            layer.set_weights([clustered(kernel, values[layer.name], zero=zero), *rest])
    fit(made, data, plan, [KeptClusters.found(made, values).callback])
    return made


def _some(found: T, model: Any, recipe: Recipe, plan: TrainingPlan) -> T:
    """`found`, unless the rules leave nothing for the technique."""
    if not found:
        reasons = "; ".join(decision.line for decision in decide(model, recipe))
        raise OptimizeError(f"{plan.text} would change no layer of this model: {reasons or 'it has no weights'}")
    return found
