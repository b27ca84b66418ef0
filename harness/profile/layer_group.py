"""Layers of a profile that match a pattern, with their figures together.

    group = find_group(layers, whole, "CONV_2D *")      # `Profile.group` does so with its own layers
    group.cycles, group.share

A pattern is that of a shell (`fnmatch`); it is matched with the title of a layer, such as `CONV_2D 5`, and with each of
the names of its output tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hil.core.errors import BadInputError
from hil.harness.profile.layer import Layer

_MOST_TITLES = 12


@dataclass(frozen=True)
class LayerGroup:
    """Layers, and the cycles of the whole network that they are part of."""

    pattern: str
    layers: tuple[Layer, ...]
    whole: int

    @property
    def cycles(self) -> int:
        """Cycles of all layers (modelled)."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def share(self) -> float:
        """Share of the network's cycles."""
        return self.cycles / self.whole if self.whole else 0.0

    @property
    def live_bytes(self) -> int:
        """Largest part of SRAM in use while one of them runs."""
        return max(layer.live_bytes for layer in self.layers)

    @property
    def encoded_bytes(self) -> int:
        """Encoded weights in bytes."""
        return sum(layer.weights.encoded for layer in self.layers if layer.weights)


def find_group(layers: Sequence[Layer], whole: int, pattern: str) -> LayerGroup:
    """The layers that match; raises `BadInputError` if none does."""
    found = tuple(layer for layer in layers if any(fnmatchcase(name, pattern) for name in _names(layer)))
    if not found:
        titles = [layer.title for layer in layers[:_MOST_TITLES]]
        more = ", ..." if len(layers) > _MOST_TITLES else ""
        raise BadInputError(f"no layer matches {pattern!r}", hint=f"there are: {', '.join(titles)}{more}")
    return LayerGroup(pattern, found, whole)


def _names(layer: Layer) -> list[str]:
    return [layer.title, layer.name, *layer.name.split(";")]
