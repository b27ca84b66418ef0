"""Scatter plot of accuracy against a cost, with the Pareto front and the limits.

    draw_scatter(found, LATENCY)      # or WEIGHTS

A point is a leaf: shape and colour show its status, the bar is the paired 95 % interval of the drop against the float
base.  Both axes begin near the points, not at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hil.harness.drawing.canvas import ACCENT, LINE, PALE, PAPER, RED, SOFT, Drawing, label, new_figure, sanitize
from hil.harness.model import Scale
from hil.harness.pareto_front import pareto_front
from hil.harness.tree.pictures import status
from hil.harness.tree.pictures.labels import place_labels
from hil.harness.tree.result import ComparedLeaves, Leaf, LeafStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 520, 390
_AREA = (0.125, 0.14, 0.86, 0.765)
_NEAR = 0.6
"""Largest distance of a drawn limit from the points, as a share of their range; a text replaces one farther away."""

_MANY = 14
"""Largest number of points that all have names; of more, only the front and the winner have.  All have tooltips."""


@dataclass(frozen=True)
class Cost:
    """A figure of a leaf that should be small: the first of the measurements `figures` that exists, times `scale`, in
    `unit`; `limit` is the name of its limit in `Budget`, empty for none.
    """

    name: str
    figures: tuple[str, ...]
    unit: str
    scale: float
    limit: str = ""


LATENCY = Cost("latency", ("latency", "npu_latency"), "ms", 1, "max_latency_ms")
WEIGHTS = Cost("encoded weights", ("encoded_weights",), "KiB", 1 / 1024)


@dataclass(frozen=True)
class ScatterPoint:
    """A leaf in the plot: cost in its unit, accuracy and the ends of its bar in the metric's, a share's in percent."""

    leaf: Leaf
    cost: float
    accuracy: float
    low: float
    high: float


def scatter_points(found: ComparedLeaves, cost: Cost) -> tuple[str, list[ScatterPoint]]:
    """Returns the measurement used for `cost` ("" if no leaf has one), and the leaves that have it.

    All points use the same measurement: the NPU's share of a latency is never compared with a whole latency.
    """
    for name in cost.figures:
        if points := [point for leaf in found.leaves if (point := _point(leaf, name, cost.scale, found.scale))]:
            return name, points
    return "", []


def _point(leaf: Leaf, name: str, factor: float, scale: Scale) -> ScatterPoint | None:
    value, accuracy, base = leaf.figure(name), leaf.figure("accuracy"), leaf.figure("base_accuracy")
    if value is None or accuracy is None or base is None or leaf.status not in status.MARKERS:
        return None
    drops = [leaf.figure(end) for end in ("accuracy_drop_low", "accuracy_drop_high")]
    ends = [accuracy, *(scale.worse_by(base, drop) for drop in drops if drop is not None)]
    return ScatterPoint(leaf, factor * value, *(scale.factor * y for y in (accuracy, min(ends), max(ends))))


def draw_scatter(found: ComparedLeaves, cost: Cost) -> Drawing:
    """Draws the leaves as points; a text if the target has no such figure."""
    name, points = scatter_points(found, cost)
    made = new_figure(WIDTH, HEIGHT)
    axes = made.add_axes(_AREA)
    drawing = Drawing(cost.name.replace(" ", "-"), made, axes, alt="")
    if not points:
        axes.set_axis_off()
        text = f"no leaf has a figure for {cost.name} on {found.target}"
        label(axes, 0.5, 0.5, text, ha="center", color=SOFT, transform=axes.transAxes)
        return Drawing(drawing.name, made, axes, alt=text)
    _frame(axes, found, cost, name, points)
    drops = [(point.cost, found.scale.drop(0.0, point.accuracy)) for point in points]
    best = [points[place] for place in pareto_front(drops)]
    _draw_front(axes, best)
    _draw_points(drawing, found, cost, points)
    named = [point for point in points if len(points) <= _MANY or point in best or point.leaf is found.winner]
    place_labels(axes, [(point.cost, point.accuracy, _name(found, point.leaf)) for point in named])
    words = ", ".join(
        f"{p.leaf.name} {found.scale.text(p.accuracy / found.scale.factor)} at {p.cost:.4g} {cost.unit}" for p in points
    )
    line = ", ".join(dict.fromkeys(point.leaf.name for point in best))
    alt = f"Accuracy against {cost.name}: {words}. On the Pareto front: {line}."
    return Drawing(drawing.name, made, axes, alt, drawing.titles)


def _name(found: ComparedLeaves, leaf: Leaf) -> str:
    return sanitize(f"{leaf.name} {status.WINNER}" if leaf is found.winner else leaf.name)


def _frame(axes: Axes, found: ComparedLeaves, cost: Cost, name: str, points: list[ScatterPoint]) -> None:
    """Draws the axes: range, titles with the trust, limits."""
    trusts = {m.trust.value for point in points for m in point.leaf.measurements if m.name == name}
    share = ", the NPU's share" if name == "npu_latency" else ""
    axes.set_xlabel(f"{cost.name}{share}, {cost.unit} ({', '.join(sorted(trusts))})", color=SOFT)
    unit = f",{found.scale.symbol}" if found.scale.symbol else ""
    axes.set_ylabel(f"accuracy of the int8 model{unit}", color=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=LINE, lw=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    base = found.scale.factor * (points[0].leaf.figure("base_accuracy") or 0)
    lowest = found.scale.factor * _least_accuracy(found, base / found.scale.factor)
    most = float(getattr(found.limits, cost.limit)) if cost.limit and not share else float("inf")
    heights = [end for point in points for end in (point.low, point.high)]
    left, right, seen_x = _range([point.cost for point in points], most)
    bottom, top, seen_y = _range([*heights, base], lowest)
    axes.set(xlim=(left, right), ylim=(top, bottom) if found.scale.lower_is_better else (bottom, top))
    axes.axhline(base, color=PALE, lw=1, ls=(0, (1, 2)))
    label(axes, 0.01, base, f"float base {_text(base, found.scale)}", **_beside(axes, "y"))
    words = "at most" if found.scale.lower_is_better else "at least"
    _limit(axes, "y", lowest, seen_y, f"limit: accuracy {words} {_text(lowest, found.scale)}")
    _limit(axes, "x", most, seen_x, f"limit: {cost.name} at most {most:g} {cost.unit}")


def _least_accuracy(found: ComparedLeaves, base: float) -> float:
    """Returns the accuracy below which a limit is missed; infinity if there is no such limit."""
    bounds = found.limits.given()
    ends = [found.scale.worse_by(base, bounds["max_accuracy_drop"])] if "max_accuracy_drop" in bounds else []
    ends += [bounds["min_accuracy"]] if "min_accuracy" in bounds else []
    return min(ends, key=lambda end: found.scale.drop(base, end), default=math.inf)


def _text(shown: float, scale: Scale) -> str:
    """Formats a shown accuracy with its unit."""
    return f"{_number(shown, scale)}{scale.symbol}"


def _number(shown: float, scale: Scale) -> str:
    return f"{shown:.2f}" if scale.is_share else scale.number(shown)


def _beside(axes: Axes, axis: str) -> dict[str, Any]:
    """Returns the text settings for a label at a line."""
    transform = axes.get_yaxis_transform() if axis == "y" else axes.get_xaxis_transform()
    behind = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    return {"size": 11, "color": PALE, "transform": transform, "va": "bottom", "zorder": 6, "bbox": behind}


def _range(values: Sequence[float], limit: float) -> tuple[float, float, bool]:
    """Returns the ends of an axis, and whether the limit is between them."""
    low, high = min(values), max(values)
    wide = (high - low) or abs(high) * 0.1 or 1.0
    seen = low - _NEAR * wide <= limit <= high + _NEAR * wide
    if seen:
        low, high = min(low, limit), max(high, limit)
    wide = (high - low) or abs(high) * 0.1 or 1.0
    return low - 0.1 * wide, high + 0.16 * wide, seen


def _limit(axes: Axes, axis: str, value: float, seen: bool, text: str) -> None:
    """Draws a limit as a line with the excluded side shaded; as a text above the plot if it is far from all points."""
    if abs(value) == float("inf"):
        return
    if not seen:
        x, side = (0.0, "left") if axis == "y" else (1.0, "right")
        far = f"{text}, beyond this range"
        label(axes, x, 1.045, far, size=11, color=SOFT, ha=side, va="bottom", transform=axes.transAxes)
        return
    if axis == "y":
        axes.axhline(value, color=RED, lw=1.5, ls=(0, (5, 3)))
        axes.axhspan(axes.get_ylim()[0], value, color=RED, alpha=0.06, lw=0)
        label(axes, 0.995, value, text, **{**_beside(axes, "y"), "color": RED, "va": "top"}, ha="right")
    else:
        axes.axvline(value, color=RED, lw=1.5, ls=(0, (5, 3)))
        axes.axvspan(value, axes.get_xlim()[1], color=RED, alpha=0.06, lw=0)
        left = value - axes.get_xlim()[0] < axes.get_xlim()[1] - value
        label(axes, value, 1.01, text, **{**_beside(axes, "x"), "color": RED}, ha="left" if left else "right")


def _draw_front(axes: Axes, best: list[ScatterPoint]) -> None:
    """Draws the Pareto front as a step line: the best accuracy at each cost."""
    ordered = sorted((point.cost, point.accuracy) for point in best)
    xs, ys = [ordered[0][0]], [axes.get_ylim()[0]]
    for x, y in ordered:
        xs += [x, x]
        ys += [ys[-1], y]
    xs.append(axes.get_xlim()[1])
    ys.append(ys[-1])
    axes.plot(xs, ys, color=ACCENT, lw=2, alpha=0.8, zorder=2)
    axes.fill_between(xs, ys, axes.get_ylim()[0], color=ACCENT, alpha=0.05, lw=0)


def _draw_points(drawing: Drawing, found: ComparedLeaves, cost: Cost, points: list[ScatterPoint]) -> None:
    for point in points:
        leaf = point.leaf
        hue = status.color(leaf)
        drawing.axes.plot([point.cost] * 2, [point.low, point.high], color=hue, lw=1.5, alpha=0.45, zorder=3)
        wins = leaf is found.winner
        marker = "*" if wins else status.MARKERS[leaf.status]
        edge = "white" if leaf.status is LeafStatus.MET else hue
        (dot,) = drawing.axes.plot(
            *([point.cost], [point.accuracy]),
            color=hue,
            ls="none",
            zorder=5 if wins else 4,
            marker=marker,
            ms=18 if wins else 9,
            mec=edge,
            mew=0.8,
        )
        between = f"{_number(point.low, found.scale)} to {_text(point.high, found.scale)}"
        accuracy = f"{_text(point.accuracy, found.scale)} ({between})"
        text = f"{leaf.name}: {accuracy}, {point.cost:.4g} {cost.unit}, {leaf.status.value}"
        drawing.tooltip(dot, text)
