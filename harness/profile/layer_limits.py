"""Limits of a layer or of several together, as the mark `hil_budget(layer="conv1*", max_cycles=20_000)` gives them.

>>> [limit] = layer_limits({"layer": "CONV_2D *", "max_share": 0.5})
>>> limit.key, str(limit)
('max_share CONV_2D *', 'CONV_2D *: share of the cycles at most 50.0 %')
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.profile.layer_group import LayerGroup
from hil.harness.profile.profile import Profile

_LAYER = "layer"
"""Keyword of the mark with the pattern."""


@dataclass(frozen=True)
class _Kind:
    """Figure that a limit bounds: its words, the function that takes it of a group, and its format."""

    words: str
    figure: Callable[[LayerGroup], float]
    text: Callable[[float], str]


def _size(value: float) -> str:
    return f"{value:,.0f} bytes"


_KINDS = {
    "max_cycles": _Kind("cycles", lambda group: group.cycles, lambda value: f"{value:,.0f}"),
    "max_share": _Kind("share of the cycles", lambda group: group.share, lambda value: f"{100 * value:.1f} %"),
    "max_sram_bytes": _Kind("live SRAM", lambda group: group.live_bytes, _size),
    "max_encoded_bytes": _Kind("encoded weights", lambda group: group.encoded_bytes, _size),
}


@dataclass(frozen=True)
class LayerLimit:
    """A limit by its name on the layers that match `pattern`."""

    pattern: str
    limit: str
    bound: float

    @property
    def key(self) -> str:
        """Name among all limits of a test."""
        return f"{self.limit} {self.pattern}"

    def __str__(self) -> str:
        kind = _KINDS[self.limit]
        return f"{self.pattern}: {kind.words} at most {kind.text(self.bound)}"

    @classmethod
    def from_key(cls, key: str, bound: float) -> LayerLimit:
        """The inverse of `key`."""
        limit, _, pattern = key.partition(" ")
        return cls(pattern, limit, bound)


def layer_limits(keywords: Mapping[str, Any]) -> tuple[LayerLimit, ...]:
    """The limits of one mark; raises `BadInputError` for another name, no number, or no limit."""
    given = dict(keywords)
    pattern = given.pop(_LAYER)
    if not isinstance(pattern, str) or not pattern:
        raise BadInputError(f"{_LAYER}={pattern!r}: a layer is named by a text", hint='layer="CONV_2D 5"')
    if not given:
        raise BadInputError(f"{_LAYER}={pattern!r} has no limit", hint=f"there are: {', '.join(_KINDS)}")
    for name, bound in given.items():
        if name not in _KINDS:
            raise BadInputError(f"no limit {name} of a layer", hint=f"there are: {', '.join(_KINDS)}")
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not bound > 0 or math.isinf(bound):
            raise BadInputError(f"{name} {bound!r} of {pattern}: a limit is a number above 0")
    return tuple(LayerLimit(pattern, name, float(bound)) for name, bound in given.items())


def missed_limits(profile: Profile, limits: Iterable[LayerLimit]) -> list[str]:
    """A line for each limit that the profile misses; raises `BadInputError` if no layer matches a pattern."""
    lines = []
    for limit in limits:
        group, kind = profile.group(limit.pattern), _KINDS[limit.limit]
        value = kind.figure(group)
        if value > limit.bound:
            over = kind.text(value - limit.bound)
            bound = kind.text(limit.bound)
            lines.append(f"{limit.pattern}: {kind.words} {kind.text(value)}, limit {bound}, {over} too much")
    return lines
