"""Layout of a walk's tree: rows and depths of its nodes and leaves.

    for item in layout_tree(found):
        item.name, item.depth, item.row, item.parent         # "pqat", 2, 4.0, DrawnNode(("prune",))

The parent of a leaf is the node it was made from: that of `prune` (prune, then ptq) and `pqat` is the node of prune.  A
node under other settings is another node.  Side by side, every leaf has a row of its own and a node is centred on its
children; indented, a node has a row of its own above its children.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from hil.harness.optimize.paths import Node, path_of
from hil.harness.tree.candidates import Settings
from hil.harness.tree.result import Leaf, TrainedNode, Walk


@dataclass(frozen=True)
class DrawnNode:
    """A node with the settings that it uses and that differ from the model's."""

    node: Node
    settings: Settings = ()


@dataclass(frozen=True)
class TreeItem:
    """A node, or a leaf (`leaf` is None if the walk did not reach it).

    `name` is the last technique, `settings` those to display: of a node, those that its parent does not have.  `depth`
    counts the steps from the base, `row` the rows from the top; `parent` is None for the base.  `trained` is the result
    for a node, None if it was not made.
    """

    name: str
    settings: Settings
    place: DrawnNode
    depth: int
    row: float
    parent: DrawnNode | None
    is_leaf: bool = False
    leaf: Leaf | None = None
    trained: TrainedNode | None = None


@dataclass(frozen=True)
class _End:
    """A leaf before its layout: its name without settings, path and settings."""

    name: str
    path: Node
    settings: Settings
    leaf: Leaf | None = None


def layout_tree(found: Walk, node_height: float = 0) -> list[TreeItem]:
    """Lays out nodes and leaves from top to bottom; indented if `node_height`, in rows of a leaf, is not 0."""
    ends = [_End(leaf.technique, leaf.path, leaf.settings, leaf) for leaf in found.leaves]
    ends += [_End(name, path_of(name), ()) for name in found.not_walked]
    placed, _ = _Planner(found, node_height).below(DrawnNode(()), ends, 0)
    return sorted(placed, key=lambda item: (item.row, item.depth))


class _Planner:
    """Lays out nodes and leaves; the trained nodes show which settings a node uses."""

    def __init__(self, found: Walk, node_height: float) -> None:
        self._height = node_height
        self._trained = {DrawnNode(made.node, made.settings): made for made in found.trained}
        self._matter: Mapping[Node, Set[str]] = {
            made.node: {name for other in found.trained if other.node == made.node for name, _ in other.settings}
            for made in found.trained
        }

    def _at(self, node: Node, settings: Settings) -> DrawnNode:
        return DrawnNode(node, tuple(one for one in settings if one[0] in self._matter.get(node, set())))

    def below(self, place: DrawnNode, ends: list[_End], row: float) -> tuple[list[TreeItem], float]:
        """Lays out a node and the leaves `ends` below it, from `row` on; returns the items and the next free row."""
        node, depth = place.node, len(place.node)
        groups: dict[DrawnNode | int, list[_End]] = {}
        for number, end in enumerate(ends):
            here = end.path[:-1] == node
            groups.setdefault(number if here else self._at(end.path[: depth + 1], end.settings), []).append(end)
        items: list[TreeItem] = []
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
                items.append(TreeItem(end.name, end.settings, at, len(end.path), behind, place, True, end.leaf))
                middles.append(behind)
                behind += 1
        own = row if self._height or not middles else (middles[0] + middles[-1]) / 2
        parent = self._at(node[:-1], place.settings) if node else None
        new = tuple(one for one in place.settings if parent is None or one not in parent.settings)
        name = node[-1] if node else "base"
        return [TreeItem(name, new, place, depth, own, parent, trained=self._trained.get(place)), *items], behind
