"""The canonical form of a network, from which every technique that trains starts: rewritten where TFMOT needs it.

    network = canonical_network(base, "prune")       # the network itself where nothing has to be rewritten
    lines = rewriting_notes(base, network)           # "layer conv (Conv1D): computed as Conv2D"

The base of a model file stays the user's own network, against which every leaf is measured.  Layers keep their names,
so that `Recipe.keep` and the promises of zeros and clusters hold for what a layer has become.  Each rewriting is exact
up to float rounding, and proven: on random inputs the outputs change by at most 1e-5 of the largest.
"""

from __future__ import annotations

from typing import Any

from hil.harness.optimize.canonical.activations import with_plain_activations
from hil.harness.optimize.canonical.inference import AUGMENTATION, NOISE, without_identities
from hil.harness.optimize.canonical.one_dimension import without_one_dimension
from hil.harness.optimize.canonical.operators import with_layers_for_operators
from hil.harness.optimize.canonical.scales import with_depthwise_scales
from hil.harness.optimize.canonical.separable import without_separable
from hil.harness.optimize.keras.flat_graph import compare, flat_model, flatten_model, random_inputs
from hil.harness.optimize.keras.hard_swish import HARD_SWISH
from hil.harness.optimize.layers import flat_layers

_REWRITINGS = (
    without_identities,
    with_layers_for_operators,
    with_plain_activations,
    without_one_dimension,
    without_separable,
    with_depthwise_scales,
)


def canonical_network(model: Any, technique: str) -> Any:
    """Returns the flat, rewritten network; raises `OptimizeError` if a rewriting is not exact."""
    flat = flat_model(model, technique)
    if any(len(layer._inbound_nodes) > 1 for layer in flat.layers):
        flat = flatten_model(flat)  # TFMOT strips wrappers from layers that stay in the wrapped model as well
    made = flat
    for rewriting in _REWRITINGS:
        before, made = made, rewriting(made)
        if made is not before:
            what = rewriting.__name__.replace("_", " ")
            compare(before, made, random_inputs(before), f"the model {model.name}, {what}")
    return made


def rewriting_notes(before: Any, after: Any) -> list[str]:
    """Describes for a report, in lines, the layers of `before` that `after` computes in another way."""
    kinds = {layer.name: type(layer).__name__ for layer in flat_layers(after)}
    swishes = [name for name, kind in kinds.items() if kind == HARD_SWISH]
    lines = [
        f"layer {name}: x * relu6(x + 3) / 6 as one operator" for name in swishes if name not in set(_names(before))
    ]
    for layer in flat_layers(before):
        kind, now = type(layer).__name__, kinds.get(layer.name)
        if kind in (*AUGMENTATION, *NOISE) and now is None:
            lines.append(f"layer {layer.name} ({kind}): computes nothing at inference, left out")
        elif kind == "SeparableConv2D" and now == "Conv2D":
            lines.append(f"layer {layer.name}: split into a depthwise and a pointwise convolution")
        elif now not in (kind, None):
            lines.append(f"layer {layer.name} ({kind}): computed as {now}")
    return lines


def _names(model: Any) -> list[str]:
    return [layer.name for layer in flat_layers(model)]
