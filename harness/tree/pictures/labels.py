"""Placement of names beside points, so that they cover neither each other nor a point.

Each name gets the nearest free position around its point, with a thin line to the point where that is not close; a name
without a free position is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hil.harness.drawing.canvas import INK, PALE, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_SIZE = 11
_POINT = 9
"""Half the size of a point, in pixels."""
_DISTANCES = (14, 26, 42, 60, 80, 110, 150, 200)
_ANGLES = (20, -20, 160, -160, 0, 180, 55, -55, 125, -125, 38, -38, 142, -142, 72, -72, 108, -108, 90, -90)


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def outside(self, area: _Box) -> float:
        inside = self.overlap(area)
        return (self.right - self.left) * (self.top - self.bottom) - inside


def place_labels(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Draws the name of each point (x, y, name; data coordinates), away from existing text and lines.

    All segments of the lines must be horizontal or vertical.
    """
    extent = axes.get_window_extent()
    area = _Box(extent.x0, extent.y0, extent.x1, extent.y1)
    centres = [tuple(map(float, axes.transData.transform((x, y)))) for x, y, _ in points]
    taken = [_Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in centres]
    taken += [_Box(*text.get_window_extent().extents) for text in axes.texts]
    lines = [_between(*pair) for line in axes.lines for pair in pairwise(_corners(line))]
    back = axes.transData.inverted()
    for (x, y), (_, _, name) in sorted(zip(centres, points, strict=True), key=lambda pair: pair[0]):
        text = label(axes, 0, 0, name, size=_SIZE, color=INK, zorder=5)
        size = text.get_window_extent()
        best = _best_place((x, y), (size.width, size.height), taken, area, lines)
        if best is None:
            text.remove()
            continue
        found, distance, side = best
        taken.append(found)
        edge = found.left if side == "left" else found.right if side == "right" else (found.left + found.right) / 2
        to_x, to_y = back.transform((edge, (found.bottom + found.top) / 2))
        if distance > _DISTANCES[0]:
            axes.plot(*zip(back.transform((x, y)), (to_x, to_y), strict=True), color=PALE, lw=0.8, zorder=2)
        text.set(position=(to_x, to_y), ha=side)


def _best_place(
    point: tuple[float, ...], size: tuple[float, float], taken: Sequence[_Box], area: _Box, lines: Sequence[_Box]
) -> tuple[_Box, float, str] | None:
    """Returns the free place of the lowest cost, which is at least its distance; None if none is free."""
    best, least = None, math.inf
    for distance in _DISTANCES:
        if distance >= least:
            break
        for angle in _ANGLES:
            place = _at(point[0], point[1], *size, angle, distance)
            if not _covers(place[0], taken, area) and (cost := _cost(place[0], distance, lines)) < least:
                best, least = place, cost
    return best


def _corners(line: Line2D) -> list[tuple[float, ...]]:
    """Returns the corners of a line in pixels."""
    return [tuple(map(float, corner)) for corner in line.get_transform().transform(line.get_xydata())]


def _between(one: tuple[float, ...], other: tuple[float, ...]) -> _Box:
    """Returns the box that a horizontal or vertical segment covers."""
    (left, right), (bottom, top) = (sorted(ends) for ends in zip(one, other, strict=True))
    return _Box(left - 2, bottom - 2, right + 2, top + 2)


def _at(x: float, y: float, width: float, height: float, angle: float, distance: float) -> tuple[_Box, float, str]:
    """Returns a name's box in a direction from its point, the distance, and the side of the box at the point."""
    across, up = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
    middle = y + up
    if abs(angle) == 90:
        left, side = x - width / 2, "center"
    else:
        left, side = (x + across, "left") if across > 0 else (x + across - width, "right")
    return _Box(left, middle - height / 2, left + width, middle + height / 2), distance, side


def _covers(name: _Box, taken: Sequence[_Box], area: _Box) -> bool:
    """Returns whether a name would cover a point or a text, or leave the plot."""
    return name.outside(area) > 1 or any(name.overlap(other) for other in taken)


def _cost(name: _Box, distance: float, lines: Sequence[_Box]) -> float:
    """Returns the cost of a free position: its distance, and the covered area of thin lines."""
    return distance + 0.4 * sum(name.overlap(line) for line in lines)
