"""Drawing of a walk's tree: nodes with their training time, leaves with their figures.

The wide drawing has a column for each depth, and the leaves' figures in columns with bars; the narrow drawing is
indented and has the figures in a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.harness.drawing.canvas import (
    BAR,
    CARD,
    GREEN,
    INK,
    LINE,
    PALE,
    PAPER,
    SOFT,
    TINT,
    Drawing,
    box,
    canvas,
    label,
)
from hil.harness.model import Scale
from hil.harness.number_format import fixed
from hil.harness.tree.candidates import Settings, title
from hil.harness.tree.pictures import status
from hil.harness.tree.pictures.tree_layout import DrawnNode, TreeItem, layout_tree
from hil.harness.tree.result import Leaf, LeafStatus, Walk, speed_figure
from hil.harness.tree.text_report import format_node, format_origin, summary

_MARGIN = 8
_NODE_ROW = 0.66
"""Height of an indented node's row, in rows of a leaf."""
_FIGURES = (0, 140, 358)
"""Columns of a wide card (accuracy, speed, encoded weights), from the first column; `_END` is its right end."""
_END = 570
_NAME, _NAME_AND_SETTINGS = 204, 270
"""Pixels for a leaf's name, before the columns."""
_BETWEEN = 32
"""Pixels between the columns of nodes."""


@dataclass(frozen=True)
class _Speed:
    """Format of a `speed_figure`: the heading of its column, and its unit."""

    figure: str
    heading: str
    unit: str

    def text(self, leaf: Leaf) -> str:
        """Formats the figure of a leaf; empty if it was not measured."""
        value = leaf.figure(self.figure)
        if value is None:
            return ""
        return fixed([value], 4)[0] if self.unit == "ms" else f"{value:,.0f}"


_CYCLES = _Speed("npu_cycles", "NPU cycles", "cycles")
_TIME = _Speed("latency", "latency, ms", "ms")


@dataclass(frozen=True)
class _Layout:
    """Pixels: `node` the height of a node's box, `card` of a leaf's, `row` of a row, `top` above the first.

    `nodes` are left edge and width of a node's box by depth.  `indented` is the height of a node's row in rows of a
    leaf; 0 puts nodes beside their children.  `figures` are the columns of a card, from its left edge.
    """

    width: float
    indented: float
    nodes: tuple[tuple[float, float], ...]
    cards: tuple[float, ...]
    node: float
    card: float
    row: float
    top: float
    figures: tuple[float, ...] = ()


def _wide(items: list[TreeItem]) -> _Layout:
    """Computes the wide layout: columns as wide as their longest name, then the cards below each other."""
    nodes = [item for item in items if not item.is_leaf]
    depths = range(max(item.depth for item in nodes) + 1)
    longest = [max(_letters(item) for item in nodes if item.depth == depth) for depth in depths]
    widths = [min(180.0, max(72.0, 8.2 * letters + 14)) for letters in longest]
    lefts = [_MARGIN + sum(widths[:depth]) + _BETWEEN * depth for depth in depths]
    steps = max((len(item.place.node[-1]) for item in items if item.is_leaf), default=0)
    x = lefts[-1] + widths[-1] + _BETWEEN + max(40.0, 7 * steps)  # the last step's name stands before the card
    columns = tuple(zip(lefts, widths, strict=True))
    first = _NAME_AND_SETTINGS if any(item.settings for item in items) else _NAME
    figures = tuple(first + column for column in _FIGURES)
    return _Layout(x + first + _END + _MARGIN, 0, columns, (x,) * (len(depths) + 1), 40, 46, 54, 34, figures)


def _letters(item: TreeItem) -> float:
    """Returns the length of a node's longer line, in letters of its name."""
    return max(len(item.name), 0.85 * len(" ".join([*_said(item.settings), "100.0 s"])))


def _said(settings: Settings) -> list[str]:
    return [f"{name}={value}" for name, value in settings]


def _narrow(items: list[TreeItem]) -> _Layout:
    """Computes the narrow layout: all items below each other, indented by depth."""
    lefts = [_MARGIN + 22.0 * depth for depth in range(max(item.depth for item in items) + 1)]
    return _Layout(470, _NODE_ROW, tuple((left, 240.0) for left in lefts), tuple(lefts), 34, 62, 70, 4)


def draw_tree(found: Walk, *, narrow: bool = False) -> Drawing:
    """Draws the tree with its figures; leaves that the walk did not reach are pale."""
    items = layout_tree(found, _NODE_ROW if narrow else 0)
    layout = _narrow(items) if narrow else _wide(items)
    rows = max(item.row for item in items) + 1
    height = layout.top + rows * layout.row + _MARGIN
    drawing = Drawing("tree-narrow" if narrow else "tree", *canvas(layout.width, height), alt=describe_tree(found))
    made = _Drawn(drawing, layout, found, items)
    for item in items:
        made.line(item)
    for item in items:
        made.leaf(item) if item.is_leaf else made.node(item)
    if not layout.indented:
        made.headings()
    return drawing


def describe_tree(found: Walk) -> str:
    """Describes the tree in words."""
    leaves = [f"{leaf.name} {summary(leaf)}" for leaf in found.leaves]
    leaves += [f"{name} {status.NOT_WALKED}" for name in found.not_walked]
    return f"Deployment tree of {found.model}. {'. '.join(leaves)}. {found.verdict.reason}."


class _Drawn:
    """Draws the nodes, leaves and lines of one tree."""

    def __init__(self, drawing: Drawing, layout: _Layout, found: Walk, items: list[TreeItem]) -> None:
        self.drawing, self.axes, self.layout, self.found = drawing, drawing.axes, layout, found
        self.speed = _TIME if speed_figure(found.leaves) == _TIME.figure else _CYCLES
        self.nodes: dict[DrawnNode, TreeItem] = {item.place: item for item in items if not item.is_leaf}

    def left(self, item: TreeItem) -> float:
        return self.layout.cards[item.depth] if item.is_leaf else self.layout.nodes[item.depth][0]

    def middle(self, item: TreeItem) -> float:
        height = 1 if item.is_leaf else self.layout.indented or 1
        return self.layout.top + (item.row + height / 2) * self.layout.row

    def line(self, item: TreeItem) -> None:
        """Draws the line from the parent, with a corner."""
        if item.parent is None:
            return
        parent = self.nodes[item.parent]
        start, end = self.left(parent), self.left(item)
        if self.layout.indented:
            corner, begin = start + 10, self.middle(parent) + self.layout.node / 2
            points = [(corner, begin), (corner, self.middle(item)), (end, self.middle(item))]
        else:
            start += self.layout.nodes[parent.depth][1]
            corner = start + _BETWEEN / 2
            points = [(start, self.middle(parent)), (corner, self.middle(parent))]
            points += [(corner, self.middle(item)), (end, self.middle(item))]
        walked = item.leaf is not None if item.is_leaf else item.trained is not None
        self.axes.plot(*zip(*points, strict=True), color=LINE, lw=1.5, ls="-" if walked else (0, (3, 3)), zorder=0)
        if item.is_leaf and not self.layout.indented:
            label(self.axes, end - 8, self.middle(item) - 9, item.place.node[-1], size=11, ha="right", color=PALE)

    def node(self, item: TreeItem) -> None:
        """Draws a node as a box: its last technique, and its training time."""
        width, height = self.layout.nodes[item.depth][1], self.layout.node
        x, y = self.left(item), self.middle(item)
        trained = item.trained
        ink = INK if trained else PALE
        shape = box(self.axes, x, y - height / 2, width, height, facecolor=PAPER, edgecolor=SOFT if trained else LINE)
        time = " ".join([*_said(item.settings), f"{trained.seconds:.1f} s" if trained else "not made"])
        where = title(format_node(item.place.node), item.place.settings)
        self.drawing.tooltip(shape, f"{where}: {format_origin(trained) if trained else 'not made'}")
        if self.layout.indented:
            label(self.axes, x + 10, y, item.name, weight="bold", color=ink, width=width / 2 + 30)
            label(self.axes, x + width - 8, y, time, size=11, color=SOFT, ha="right")
        else:
            label(self.axes, x + width / 2, y - 8, item.name, weight="bold", color=ink, width=width - 6, ha="center")
            label(self.axes, x + width / 2, y + 9, time, size=11, color=SOFT, ha="center", width=width - 6)

    def leaf(self, item: TreeItem) -> None:
        """A card: sign, name, status, figures, and what is missed."""
        leaf, x, y = item.leaf, self.left(item), self.middle(item)
        top, width = y - self.layout.card / 2, self.layout.width - x - _MARGIN
        wins = leaf is not None and leaf is self.found.winner
        edge = {"edgecolor": GREEN, "linewidth": 2} if wins else {"edgecolor": LINE}
        if leaf is None:
            edge["linestyle"] = "--"
        shape = box(self.axes, x, top, width, self.layout.card, facecolor=TINT if wins else CARD, **edge)
        self.drawing.tooltip(
            shape, f"{leaf.name if leaf else item.name}: {summary(leaf) if leaf else status.NOT_WALKED}"
        )
        hue = status.color(leaf)
        box(self.axes, x + 4, top + 5, 4, self.layout.card - 10, facecolor=hue, edgecolor="none", radius=2)
        (self._narrow if self.layout.indented else self._wide)(item, x, y, width, wins)

    def _name(self, item: TreeItem, x: float, y: float, width: float) -> None:
        ink = INK if item.leaf else PALE
        label(self.axes, x + 16, y, status.sign(item.leaf), size=14, color=status.color(item.leaf), weight="bold")
        label(self.axes, x + 34, y, item.name, size=13, weight="bold", color=ink, width=width)

    def _wide(self, item: TreeItem, x: float, y: float, width: float, wins: bool) -> None:
        leaf = item.leaf
        self._name(item, x, y - 9, self.layout.figures[0] - 40)
        word = " ".join([f"{status.WINNER} winner" if wins else status.word(leaf), *_said(item.settings)])
        look = {"color": status.color(leaf), "weight": "bold" if wins else "normal"}
        label(self.axes, x + 34, y + 10, word, size=11, width=self.layout.figures[0] - 40, **look)
        if leaf is None:
            return
        first, speed, weights = (x + column for column in self.layout.figures)
        if leaf.status in (LeafStatus.FAILED, LeafStatus.MISMATCH):
            label(self.axes, first, y, leaf.reason.split("\n")[0], size=11, width=_END - 12, color=SOFT)
            return
        missed = _missed(leaf)
        line = y - 8 if missed else y
        label(self.axes, first, line, _accuracy(leaf, self.found.scale))
        self._bar(leaf, self.speed.figure, speed, line, 120, self.speed.text(leaf))
        kib = (leaf.figure("encoded_weights") or 0) / 1024
        self._bar(leaf, "encoded_weights", weights, line, 120, f"{kib:,.1f} KiB")
        if missed:
            label(self.axes, first, y + 11, missed, size=11, color=status.color(leaf), width=_END - 8)

    def _bar(self, leaf: Leaf, name: str, x: float, y: float, length: float, text: str) -> None:
        """Draws a bar relative to the largest of all leaves, followed by the figure."""
        value, most = leaf.figure(name), max(other.figure(name) or 0 for other in self.found.leaves)
        if value is None or not most:
            label(self.axes, x, y, "not measured", size=11, color=PALE)
            return
        box(self.axes, x, y - 4, length, 8, facecolor=LINE, edgecolor="none", radius=0, linewidth=0)
        box(self.axes, x, y - 4, length * value / most, 8, facecolor=BAR, edgecolor="none", radius=0, linewidth=0)
        label(self.axes, x + length + 8, y, text, size=12)

    def _narrow(self, item: TreeItem, x: float, y: float, width: float, wins: bool) -> None:
        leaf = item.leaf
        self._name(item, x, y - 17, width - 150)
        word = " ".join([*_said(item.settings), f"{status.WINNER} winner" if wins else status.word(leaf)])
        label(self.axes, x + width - 10, y - 17, word, size=11, color=status.color(leaf), ha="right", weight="bold")
        if leaf is None:
            return
        if leaf.status in (LeafStatus.FAILED, LeafStatus.MISMATCH):
            label(self.axes, x + 16, y + 4, leaf.reason.split("\n")[0], size=11, width=width - 24, color=SOFT)
            return
        speed, kib = self.speed.text(leaf), (leaf.figure("encoded_weights") or 0) / 1024
        parts = [
            _accuracy(leaf, self.found.scale),
            f"{speed} {self.speed.unit}" if speed else "",
            f"{kib:,.1f} KiB",
        ]
        label(self.axes, x + 16, y + 2, " · ".join(part for part in parts if part), size=12, width=width)
        if missed := _missed(leaf):
            label(self.axes, x + 16, y + 20, missed, size=11, color=status.color(leaf), width=width - 24)

    def headings(self) -> None:
        """Draws the headings of the leaves' columns, with the trust of the cycles."""
        x = self.layout.cards[0]
        measurements = [found for leaf in self.found.leaves for found in leaf.measurements]
        trusts = {found.trust.value for found in measurements if found.name == self.speed.figure}
        trust = f" ({', '.join(sorted(trusts))})" if trusts else ""
        names = ("accuracy (drop)", f"{self.speed.heading}{trust}", "encoded weights")
        for name, offset in zip(names, self.layout.figures, strict=True):
            label(self.axes, x + offset, 18, name, size=11, color=SOFT)


def _accuracy(leaf: Leaf, scale: Scale) -> str:
    value, drop = leaf.figure("accuracy"), leaf.figure("accuracy_drop")
    return "" if value is None or drop is None else f"{scale.text(value)} ({scale.difference_number(drop, 1)})"


def _missed(leaf: Leaf) -> str:
    """Formats the missed limits of a leaf, and by how much."""
    return summary(leaf, whole=False).removeprefix("missed: ") if leaf.status is LeafStatus.MISSED else ""
