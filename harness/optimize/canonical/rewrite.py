"""Rewriting of a flat network layer by layer: copies of most layers, new ones in place of some.

    rewrite = Rewrite(model)
    made = rewrite.network(lambda layer, name, arguments, keywords: ...)     # as `flat_graph.LayerCall`

New layers get a name that no layer of the model has.  A new layer of the same kind, name and configuration is one
layer: the calls of a shared layer share what replaces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hil.core.arrays import Array
from hil.harness.optimize.keras.flat_graph import LayerCall, LayerCopies, replay
from hil.harness.optimize.keras.keras2 import import_keras, quiet


class Rewrite:
    """Copies and new layers of one rewriting."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.copy = LayerCopies()
        self._taken = {layer.name for layer in model.layers}
        self._new: dict[str, Any] = {}
        self._weights: list[tuple[Any, list[Array]]] = []

    def network(self, call: LayerCall) -> Any:
        """Returns the rewritten network, with its weights."""
        with quiet():
            made = replay(self.model, call)
            self.copy.fill()
            for layer, weights in self._weights:
                layer.set_weights(weights)
        return made

    def new(self, kind: type[Any], name: str, config: dict[str, Any], weights: Sequence[Array] = ()) -> Any:
        """Returns a new layer, created at the first call; `weights` are set when it is built."""
        key = f"{kind.__name__} {name} {config}"
        if key not in self._new:
            layer = self._new[key] = kind.from_config({**config, "name": self._free(name)})
            if len(weights):
                self._weights.append((layer, list(weights)))
        return self._new[key]

    def instead(self, layer: Any, kind: type[Any], config: dict[str, Any], weights: Sequence[Array] = ()) -> Any:
        """Returns the layer that replaces one of the model, under its name."""
        self._taken.discard(layer.name)
        return self.new(kind, layer.name, config, weights)

    def reshaped(self, x: Any, shape: tuple[int, ...], name: str) -> Any:
        """Returns the tensor (n, ...) in another shape (n, *shape)."""
        return self.new(import_keras().layers.Reshape, name, {"target_shape": shape})(x)

    def _free(self, name: str) -> str:
        number, found = 1, name
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found


def readers(layer: Any) -> list[Any]:
    """Returns the layers that read a layer's outputs, one entry a call."""
    return [node.layer for node in layer._outbound_nodes]


def only_reader(layer: Any, model: Any) -> Any:
    """Returns the layer that alone reads a layer's outputs and reads nothing else; None without one.

    Of a shared layer, that layer reads every call.
    """
    found, *others = readers(layer) or [None]
    if found is None or any(other is not found for other in others) or is_output(layer, model):
        return None
    return found if len(found._inbound_nodes) == len(layer._inbound_nodes) == 1 + len(others) else None


def is_output(layer: Any, model: Any) -> bool:
    """Returns whether one of the model's outputs is the layer's."""
    return any(x.node.layer is layer for x in model.outputs)


def output_shape(layer: Any) -> tuple[int | None, ...]:
    """Returns the shape of the output of a layer's first call; () for a layer with several outputs."""
    return tuple(getattr(layer._inbound_nodes[0].outputs, "shape", ()))
