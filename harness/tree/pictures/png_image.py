"""PNG image of a walk: all drawings from top to bottom, each row as wide as the image."""

from __future__ import annotations

import io

import numpy as np

from hil.core.arrays import Array
from hil.harness.drawing.canvas import DPI, Drawing, style
from hil.harness.drawing.pixels import pixels
from hil.harness.tree.pictures.figure_table import draw_caption, draw_heading, draw_table
from hil.harness.tree.pictures.kernel_drawing import WIDTH, describe_corner, draw_key, draw_stages
from hil.harness.tree.pictures.kernel_stages import KernelStages
from hil.harness.tree.pictures.scatter import LATENCY, WEIGHTS, draw_scatter
from hil.harness.tree.pictures.tree_drawing import draw_tree
from hil.harness.tree.result import Walk

SCALE = 1.5
"""Pixels of the image for each pixel of the widest row."""
_MOST = 1.5
"""Largest enlargement of a row."""


def png(found: Walk, kernel: KernelStages | None = None) -> bytes:
    """Renders the image; the same walk gives the same bytes."""
    from PIL import Image

    with style():
        rows = [np.concatenate(row, axis=1) for row in _rows(found, kernel)]
    width = max(row.shape[1] for row in rows)
    paper = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    written = io.BytesIO()
    Image.fromarray(np.concatenate(paper)).save(written, "PNG", optimize=True)
    return written.getvalue()


def _rows(found: Walk, kernel: KernelStages | None) -> list[list[Array]]:
    """Renders rows of drawings, as pixels (height, width, 3) of the same height within a row."""
    tree = draw_tree(found)
    full = max(DPI * tree.figure.get_figwidth(), WIDTH * len(kernel.stages) if kernel else 0)
    drawings = [[draw_heading(found, full)], [tree]]
    front = "What accuracy costs. The line is the Pareto front; bars are paired 95 % intervals of the drop"
    drawings += [[draw_caption(front, full)], [draw_scatter(found, LATENCY), draw_scatter(found, WEIGHTS)]]
    if kernel:
        text = f"{kernel.layer} on the way to {kernel.leaf}. {describe_corner(kernel)}; counts are of the whole kernel"
        drawings += [[draw_caption(text, full)], [draw_key()], draw_stages(kernel)]
    drawings += [[draw_caption("All leaves. ", full)], [draw_table(found, full)]]
    return [[pixels(drawing, _scale(row, full)) for drawing in row] for row in drawings]


def _scale(row: list[Drawing], full: float) -> float:
    """Returns the scale that makes a row as wide as the image, if it fills more than half of it."""
    factor = full / sum(DPI * drawing.figure.get_figwidth() for drawing in row)
    return SCALE * (min(_MOST, factor) if factor < 2 else 1)
