"""Techniques that know the NPU: what they gain is still there in Vela's encoded weights.

==================  ==================================================================================================
npu_prune           like `prune`, in the layers that `rules` names; comes before `fold`
npu_cluster         behind `fold`: at most `clusters` (and 32) distinct weights a kernel
npu_sparse_cluster  the same on a pruned model: zero is one of them
npu_pcqat           quantization-aware training with one scale a convolution kernel; zeros and clusters are kept
==================  ==================================================================================================

Pruned behind the fold instead, a keyword spotter lost 2 points more at half zeros, and 31 at four fifths: without
batch normalization the training cannot make up for the weights that go.

With one scale for the whole kernel, and no batch normalization left to fold, 16 weights are 16 int8 values.  With a
scale for each channel, as TensorFlow gives by default, they become dozens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hil.harness.errors import OptimizeError
from hil.harness.model import Recipe
from hil.harness.optimize.clusters import Kept, clustered
from hil.harness.optimize.flat import Copies, replayed
from hil.harness.optimize.keras2 import quiet
from hil.harness.optimize.pruning import pruned
from hil.harness.optimize.quantized import make_quantization_aware, settle
from hil.harness.optimize.rules import decide, touched
from hil.harness.optimize.training import Data, Plan, fit


def npu_prune(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """Sets the smallest weights of the touched kernels to zero."""
    return pruned(model, data, recipe, plan, _touched(model, recipe, "npu_prune"))


def npu_cluster(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """Leaves each touched kernel few distinct weights."""
    return _clustered(model, data, recipe, plan, zero=False)


def npu_sparse_cluster(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """The same; what is zero stays zero, and is one of them."""
    return _clustered(model, data, recipe, plan, zero=True)


def npu_pcqat(model: Any, data: Data, recipe: Recipe, plan: Plan) -> Any:
    """Trains with quantization in the graph; every touched kernel keeps the weights that it has in common."""
    aware = make_quantization_aware(model, "npu_pcqat", recipe.repairs)
    fit(aware, data, plan, [Kept.found(aware, touched(model, recipe)).callback])
    return settle(aware, recipe.repairs)


STEPS: dict[str, Callable[[Any, Data, Recipe, Plan], Any]] = {
    "npu_prune": npu_prune,
    "npu_cluster": npu_cluster,
    "npu_sparse_cluster": npu_sparse_cluster,
    "npu_pcqat": npu_pcqat,
}


def _clustered(model: Any, data: Data, recipe: Recipe, plan: Plan, *, zero: bool) -> Any:
    copies = Copies()
    with quiet():
        made = replayed(model, copies)
        copies.fill()
    names = _touched(made, recipe, plan.text)
    for layer in made.layers:
        if layer.name in names:
            kernel, *rest = layer.get_weights()
            layer.set_weights([clustered(kernel, recipe.palette, zero=zero), *rest])
    fit(made, data, plan, [Kept.found(made, names).callback])
    return made


def _touched(model: Any, recipe: Recipe, technique: str) -> set[str]:
    names = touched(model, recipe)
    if not names:
        reasons = "; ".join(decision.line for decision in decide(model, recipe))
        raise OptimizeError(f"{technique} would change no layer of this model: {reasons or 'it has no weights'}")
    return names
