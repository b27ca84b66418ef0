"""Comparison of two profiles, layer by layer.

Layers are matched by their output tensor, then by operator and place among its kind: techniques and other compilers
rename tensors.  A layer of one profile alone has None on the other side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.profile import Profile
from hil.harness.profile.totals import total_layer


@dataclass(frozen=True)
class Pair:
    """A layer in this profile and in the other."""

    this: Layer | None
    other: Layer | None

    @property
    def title(self) -> str:
        """Title of the layer, this profile's if it has one."""
        layer = self.this or self.other
        return layer.title if layer else ""

    @property
    def change(self) -> int:
        """Cycles of this profile more than of the other."""
        return (self.this.cycles if self.this else 0) - (self.other.cycles if self.other else 0)


def compare(this: Profile, other: Profile) -> tuple[Pair, ...]:
    """Pairs of layers in the order of this profile, then those of the other alone, then the totals."""
    left, right = _placed(this), _placed(other)
    matched = _match(left, right)
    pairs = [Pair(layer, matched.get(place)) for place, layer in enumerate(left)]
    taken = {id(layer) for layer in matched.values()}
    pairs += [Pair(None, layer) for layer in right if id(layer) not in taken]
    return (*pairs, Pair(total_layer(this), total_layer(other)))


def pair_record(pair: Pair) -> dict[str, Any]:
    """JSON values of a pair."""
    return {
        "title": pair.title,
        "cycles": pair.this.cycles if pair.this else None,
        "other_cycles": pair.other.cycles if pair.other else None,
        "change": pair.change,
        "bound": _bound(pair.this),
        "other_bound": _bound(pair.other),
        "encoded": _encoded(pair.this),
        "other_encoded": _encoded(pair.other),
    }


def comparison_lines(this: Profile, other: Profile, width: int | None = None) -> list[str]:
    """Heading and table, wrapped to the terminal's width."""
    from hil.harness.profile.text_report import comparison_legend, heading
    from hil.harness.text_table import Column, Row, format_table, terminal_width, wrap

    width = width or terminal_width()
    columns = (
        Column("layer"),
        *(Column(name, number=True) for name in ("cycles", "other", "change", "%")),
        Column("bound by"),
        Column("bound by\nin other", rank=1),
        Column("encoded\nweights", number=True, rank=2),
        Column("weights\nin other", number=True, rank=2),
    )
    rows = [Row(_cells(pair)) for pair in compare(this, other)]
    lines = [line for text in (heading(this), f"other: {heading(other)}") for line in wrap(text, width)]
    return [*lines, "", format_table(columns, rows, width=width), "", *wrap(comparison_legend(this), width)]


def _placed(profile: Profile) -> list[Layer]:
    return [layer for layer in profile.layers if layer.placement is not Placement.FUSED]


def _match(left: list[Layer], right: list[Layer]) -> dict[int, Layer]:
    """Layers of the other profile by place in this one."""
    found: dict[int, Layer] = {}
    for keys_of in (_names, _places):
        open_left = [place for place in range(len(left)) if place not in found]
        taken = {id(layer) for layer in found.values()}
        open_right = [layer for layer in right if id(layer) not in taken]
        by_key = dict(zip(keys_of(open_right), open_right, strict=True))
        for place, key in zip(open_left, keys_of([left[place] for place in open_left]), strict=True):
            if key in by_key:
                found[place] = by_key.pop(key)
    return found


def _names(layers: Iterable[Layer]) -> list[Hashable]:
    return [(layer.kind, layer.name) for layer in layers]


def _places(layers: Iterable[Layer]) -> list[Hashable]:
    """Kind and number among the layers of that kind."""
    counts: Counter[str] = Counter()
    keys: list[Hashable] = []
    for layer in layers:
        keys.append((layer.kind, counts[layer.kind]))
        counts[layer.kind] += 1
    return keys


def _cells(pair: Pair) -> list[str]:
    old = pair.other.cycles if pair.other else 0
    return [
        pair.title,
        f"{pair.this.cycles:,}" if pair.this else "",
        f"{pair.other.cycles:,}" if pair.other else "",
        f"{pair.change:+,}" if pair.change else "0",
        f"{100 * pair.change / old:+.1f}" if old and pair.this else "",
        _bound(pair.this) or "",
        _bound(pair.other) or "",
        *(f"{size:,}" if size is not None else "" for size in (_encoded(pair.this), _encoded(pair.other))),
    ]


def _bound(layer: Layer | None) -> str | None:
    if layer is None:
        return None
    return layer.bound.value if layer.bound else layer.placement.value if layer.placement is not Placement.NPU else None


def _encoded(layer: Layer | None) -> int | None:
    return layer.weights.encoded if layer and layer.weights else None
