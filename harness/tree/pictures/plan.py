"""Where the nodes and leaves of a walk stand in a drawing of the tree, before anything is drawn.

    for item in plan(found):
        item.name, item.depth, item.row, item.parent         # "pqat", 2, 4.0, ("prune",)

A leaf hangs on the node it was made from: `prune` (prune, then ptq) and `pqat` on the node of prune.  Side by side
every leaf has a row of its own and a node stands in the middle of its children; indented, a node has a row too, above
its children.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.harness.optimize.paths import Node, path_of
from hil.harness.tree.result import Leaf, Walk


@dataclass(frozen=True)
class Item:
    """A node (`leaf` and `last_step` empty) or a leaf (`leaf` None if it was not walked to).

    `depth` counts the steps from the base, `row` is in rows from the top, `parent` the node it hangs on (None: base).
    """

    name: str
    path: Node
    depth: int
    row: float
    parent: Node | None
    is_leaf: bool = False
    leaf: Leaf | None = None

    @property
    def last_step(self) -> str:
        return self.path[-1] if self.is_leaf else ""


def plan(found: Walk, node_height: float = 0) -> list[Item]:
    """Every node and leaf of a walk from top to bottom; indented if a node has a height, in rows of a leaf."""
    ends = [(leaf.name, leaf.path, leaf) for leaf in found.leaves]
    ends += [(name, path_of(name), None) for name in found.not_walked]
    placed, _ = _below((), ends, 0, node_height)
    return sorted(placed, key=lambda item: (item.row, item.depth))


def _below(
    node: Node, ends: list[tuple[str, Node, Leaf | None]], row: float, node_height: float
) -> tuple[list[Item], float]:
    """A node with all that hangs on it, from `row` on; and the first row behind them."""
    items: list[Item] = []
    middles: list[float] = []
    behind = row + node_height
    seen: set[Node] = set()
    for name, path, leaf in ends:
        if path[: len(node)] != node:
            continue
        if path[:-1] == node:
            items.append(Item(name, path, len(path), behind, node, True, leaf))
            middles.append(behind)
            behind += 1
        elif (child := path[: len(node) + 1]) not in seen:
            seen.add(child)
            inner, behind = _below(child, ends, behind, node_height)
            middles += [item.row for item in inner if item.path == child and not item.is_leaf]
            items += inner
    own = row if node_height else (middles[0] + middles[-1]) / 2
    name = node[-1] if node else "base"
    return [Item(name, node, len(node), own, node[:-1] if node else None), *items], behind
