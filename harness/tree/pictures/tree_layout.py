"""Where the nodes and leaves of a walk stand in a drawing of the tree, before anything is drawn.

    for item in plan(found):
        item.name, item.depth, item.row, item.parent         # "pqat", 2, 4.0, DrawnNode(("prune",))

A leaf hangs on the node it was made from: `prune` (prune, then ptq) and `pqat` on the node of prune.  A node under
other settings is another node.  Side by side every leaf has a row of its own and a node stands in the middle of its
children; indented, a node has a row too, above its children.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from hil.harness.optimize.paths import Node, path_of
from hil.harness.tree.candidates import Settings
from hil.harness.tree.result import Leaf, Trained, Walk


@dataclass(frozen=True)
class DrawnNode:
    """A node under those of the settings that differ from the model's and matter there."""

    node: Node
    settings: Settings = ()


@dataclass(frozen=True)
class Item:
    """A node, or a leaf (`leaf` None if it was not walked to).

    `name` is the last technique's, `settings` what is said behind it: of a node those that its parent has not.
    `depth` counts the steps from the base, `row` is in rows from the top, `parent` the node it hangs on (None: base).
    `trained` is what is known of a node, None if it was not made.
    """

    name: str
    settings: Settings
    place: DrawnNode
    depth: int
    row: float
    parent: DrawnNode | None
    is_leaf: bool = False
    leaf: Leaf | None = None
    trained: Trained | None = None


@dataclass(frozen=True)
class _End:
    """A leaf in the making: its name without settings, its way, its settings."""

    name: str
    path: Node
    settings: Settings
    leaf: Leaf | None = None


def plan(found: Walk, node_height: float = 0) -> list[Item]:
    """Every node and leaf of a walk from top to bottom; indented if a node has a height, in rows of a leaf."""
    ends = [_End(leaf.technique, leaf.path, leaf.settings, leaf) for leaf in found.leaves]
    ends += [_End(name, path_of(name), ()) for name in found.not_walked]
    placed, _ = _Planner(found, node_height).below(DrawnNode(()), ends, 0)
    return sorted(placed, key=lambda item: (item.row, item.depth))


class _Planner:
    """Places nodes and leaves; knows which settings matter at a node from the nodes that were trained."""

    def __init__(self, found: Walk, node_height: float) -> None:
        self._height = node_height
        self._trained = {DrawnNode(made.node, made.settings): made for made in found.trained}
        self._matter: Mapping[Node, Set[str]] = {
            made.node: {name for other in found.trained if other.node == made.node for name, _ in other.settings}
            for made in found.trained
        }

    def _at(self, node: Node, settings: Settings) -> DrawnNode:
        return DrawnNode(node, tuple(one for one in settings if one[0] in self._matter.get(node, set())))

    def below(self, place: DrawnNode, ends: list[_End], row: float) -> tuple[list[Item], float]:
        """A node with the leaves `ends` that hang on it or below, from `row` on; and the first row behind them."""
        node, depth = place.node, len(place.node)
        groups: dict[DrawnNode | int, list[_End]] = {}
        for number, end in enumerate(ends):
            here = end.path[:-1] == node
            groups.setdefault(number if here else self._at(end.path[: depth + 1], end.settings), []).append(end)
        items: list[Item] = []
        middles: list[float] = []
        behind = row + self._height
        for key, group in groups.items():
            if isinstance(key, DrawnNode):
                inner, behind = self.below(key, group, behind)
                middles += [item.row for item in inner if item.place == key and not item.is_leaf]
                items += inner
            else:
                (end,) = group
                at = DrawnNode(end.path, end.settings)
                items.append(Item(end.name, end.settings, at, len(end.path), behind, place, True, end.leaf))
                middles.append(behind)
                behind += 1
        own = row if self._height or not middles else (middles[0] + middles[-1]) / 2
        parent = self._at(node[:-1], place.settings) if node else None
        new = tuple(one for one in place.settings if parent is None or one not in parent.settings)
        name = node[-1] if node else "base"
        return [Item(name, new, place, depth, own, parent, trained=self._trained.get(place)), *items], behind
