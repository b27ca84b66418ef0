"""Promises of zeros and clusters, made by the steps of a path and carried through the later ones.

    made = promises_after("prune", base, (), recipe)               # each kernel that `prune` prunes gets its zeros
    carried = promises_after("pqat", pruned, made, recipe)         # the same: `pqat` preserves zeros

A step makes promises for the layers that it prunes or clusters, by the selection with which it treats them
(`selection`), on the model that it is given.  Of earlier promises it carries on

- those of all layers that it does not touch: it trains them with their zeros and distinct weights preserved;
- those of a layer that it touches of the kind that it preserves (`PRESERVED`).

Promises are values that are stored beside the Keras model.  The next step and the conversion read them, and nothing
is computed from the model that a step returned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from hil.harness.model import Recipe
from hil.harness.optimize.layers import kernels
from hil.harness.optimize.selection import cluster_counts, sparsities, touched_layers

Kind = Literal["zeros", "clusters"]

PRESERVED: dict[str, frozenset[Kind]] = {
    "fold": frozenset({"zeros"}),
    "prune": frozenset(),
    "cluster": frozenset(),
    "sparse_cluster": frozenset({"zeros"}),
    "qat": frozenset(),
    "pqat": frozenset({"zeros"}),
    "cqat": frozenset({"clusters"}),
    "pcqat": frozenset({"zeros", "clusters"}),
    "npu_prune": frozenset(),
    "npu_cluster": frozenset(),
    "npu_sparse_cluster": frozenset({"zeros"}),
    "npu_pcqat": frozenset({"zeros", "clusters"}),
}
"""Step -> the kinds of promises that it preserves in the layers that it touches; the promises it makes come on top.

`fold` multiplies channels by factors, which leaves zeros zero and makes 16 distinct weights thousands.
"""


@dataclass(frozen=True)
class Promise:
    """Bound of a layer's kernel: "zeros", at least `bound` weights are zero; "clusters", at most `bound` are distinct.

    `step` made the promise; `kernel` is the kind of weight, such as "recurrent_kernel".
    """

    layer: str
    kind: Kind
    bound: int
    step: str
    kernel: str = "kernel"

    @property
    def whole(self) -> bool:
        """True if `bound` distinct weights are promised for the whole kernel of the int8 file, not for each channel."""
        return self.step.startswith("npu_")


def promises_after(step: str, model: Any, earlier: Iterable[Promise], recipe: Recipe) -> tuple[Promise, ...]:
    """Returns the promises after a step that is applied to `model`, a flat model with the promises `earlier`."""
    made = _made(step, model, recipe)
    again = {(promise.layer, promise.kernel, promise.kind) for promise in made}
    touched = touched_layers(step, model, recipe)
    carried = [
        promise
        for promise in earlier
        if (promise.layer, promise.kernel, promise.kind) not in again
        and (promise.layer not in touched or promise.kind in PRESERVED[step])
    ]
    return (*carried, *made)


def _made(step: str, model: Any, recipe: Recipe) -> list[Promise]:
    shares, counts = sparsities(step, model, recipe), cluster_counts(step, model, recipe)
    parts = [(layer.name, kernel, values.size) for layer, kernel, values in kernels(model)]
    zeros = [
        Promise(name, "zeros", size - max(1, round(size * (1 - shares[name]))), step, kernel)  # as TFMOT rounds
        for name, kernel, size in parts
        if name in shares
    ]
    clusters = [Promise(name, "clusters", counts[name], step, kernel) for name, kernel, _ in parts if name in counts]
    return [*zeros, *clusters]


def read_promises(text: str | bytes) -> tuple[Promise, ...]:
    """Reads promises from JSON, a list of their fields."""
    return tuple(Promise(**fields) for fields in json.loads(text))
