"""Selection of the layers that a technique prunes or clusters, decided on the flat model that it is given.

    sparsities("prune", model, recipe)          # {"conv": 0.5, "pw": 0.5}: layer -> share of zeros
    cluster_counts("npu_cluster", model, recipe)    # {"conv": 32, "pw": 16}: layer -> number of distinct weights

The technique and its promises (`promises`) use the same selection, so nothing is promised that no step did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hil.core.errors import BadInputError
from hil.harness.model import Recipe
from hil.harness.optimize.layers import RECURRENT, flat_layers, is_clusterable, is_prunable, kernels
from hil.harness.optimize.npu_rules import clustered_layers, pruned_layers
from hil.harness.optimize.paths import CLUSTERING, PRESERVING, PRUNING
from hil.harness.optimize.quantize_configs import loses_promises

_SPLIT = "_depthwise"
"""End of the name of a separable convolution's half after the fold."""
_FEWEST = 3
"""The fewest clusters of TFMOT where zeros stay zero."""


def check_names(model: Any, recipe: Recipe) -> None:
    """Raises `BadInputError` for a layer that `keep` or `sparsity_by` names and that has no kernel in the network."""
    known = list(dict.fromkeys(layer.name for layer, _, _ in kernels(model)))
    by_layer = recipe.sparsity_by if isinstance(recipe.sparsity_by, Mapping) else {}
    for setting, names in (("keep", recipe.keep), ("sparsity_by", by_layer)):
        for name in names:
            if name not in known and name.removesuffix(_SPLIT) not in known:
                line = f"Recipe.{setting} names {name}, which is no layer with weights"
                raise BadInputError(line, hint=f"there are: {', '.join(known)}")


def prunable_layers(technique: str, model: Any, recipe: Recipe) -> set[str]:
    """Returns the names of the layers that a technique prunes: "prune" all that TFMOT can, "npu_prune" by the rules."""
    if technique == "npu_prune":
        return pruned_layers(model, recipe)
    return {layer.name for layer in flat_layers(model) if is_prunable(layer, recipe.keep)}


def sparsities(technique: str, model: Any, recipe: Recipe) -> dict[str, float]:
    """Returns layer -> share of zeros above 0, in the model's order; empty for a technique that does not prune."""
    if technique not in PRUNING:
        return {}
    names = prunable_layers(technique, model, recipe)
    shares = {layer.name: recipe.sparsity_of(layer.name) for layer in flat_layers(model) if layer.name in names}
    return {name: share for name, share in shares.items() if share > 0}


def cluster_counts(technique: str, model: Any, recipe: Recipe) -> dict[str, int]:
    """Returns layer -> number of clusters, in the model's order; empty for a technique that does not cluster.

    `sparse_cluster` gives a layer no more clusters than it has weights that are not zero, and one for the zeros: TFMOT
    refuses more.  It leaves a layer as it is that would get fewer than TFMOT makes.
    """
    if technique not in CLUSTERING:
        return {}
    if technique.startswith("npu_"):
        return clustered_layers(model, recipe)
    layers = [layer for layer in flat_layers(model) if is_clusterable(layer, recipe.keep, recipe.clusters)]
    if technique == "cluster":
        return {layer.name: recipe.clusters for layer in layers}
    found = {
        layer.name: recipe.clusters if type(layer).__name__ in RECURRENT else _left(layer, recipe) for layer in layers
    }
    return {name: count for name, count in found.items() if count >= _FEWEST}


def _left(layer: Any, recipe: Recipe) -> int:
    return min(recipe.clusters, int(np.count_nonzero(layer.kernel.numpy())) + 1)


def touched_layers(technique: str, model: Any, recipe: Recipe) -> set[str]:
    """Returns the names of the layers whose kernels a technique treats; it fine-tunes the others as they are."""
    if technique in PRUNING:
        return set(sparsities(technique, model, recipe))
    if technique in CLUSTERING:
        return set(cluster_counts(technique, model, recipe))
    if technique == "npu_pcqat":
        return set(clustered_layers(model, recipe))
    scheme_loses = loses_promises if technique in PRESERVING else lambda _: False
    return {layer.name for layer in flat_layers(model) if not scheme_loses(layer)}
