"""Drawing of a kernel at one stage: heat map of its first weights, and histogram of all.

    for drawing in draw_stages(kernel):
        ...                              # one a stage, with the same scales, to be placed side by side

Weights that are exactly zero have a colour of their own, in the heat map and in the histogram, and a bar of their own.
The Keras stages share one scale of values; the int8 file has its own, from -127 to 127.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hil.harness.drawing.canvas import BAR, INK, LINE, SOFT, ZERO, Drawing, canvas, label, new_figure
from hil.harness.tree.pictures.kernel_stages import KernelStages, Stage

if TYPE_CHECKING:
    from hil.core.arrays import Array

WIDTH, HEIGHT = 300, 430
ROWS, COLUMNS = 64, 96
"""Largest heat map, in weights: a corner of the kernel, so that each weight is visible and none are averaged."""
_BINS = 81
_NEGATIVE = ("#5e3c99", "#9d8cc9", "#e4e2ef")
_POSITIVE = ("#fce6c8", "#f2a552", "#c2560a")
"""Colours by distance from zero: from far to near, and from near to far; zero has its own."""


def draw_stages(kernel: KernelStages) -> list[Drawing]:
    """Draws each stage."""
    floats = [np.abs(stage.values).max() for stage in kernel.stages if not stage.quantized]
    most = float(max(floats, default=0.0)) or 1.0
    top = max(_histogram(stage, most)[0].max() for stage in kernel.stages)
    top = max(top, *(round(stage.zeros * stage.values.size) for stage in kernel.stages))
    return [_stage(kernel, place, most, 2.0 * top) for place in range(len(kernel.stages))]


def _stage(kernel: KernelStages, place: int, most: float, top: float) -> Drawing:
    stage = kernel.stages[place]
    unit = "int8 values" if stage.quantized else "values"
    words = f"{stage.zeros:.1%} zeros, {stage.unique:,} unique {unit}".replace("%", " %")
    alt = f"Kernel {kernel.layer}, {stage.name}: {words}"
    made = new_figure(WIDTH, HEIGHT)
    surface = made.add_axes((0, 0, 1, 1))
    surface.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    surface.set_axis_off()
    label(surface, 16, 18, f"{place + 1}  {stage.name}", size=14, weight="bold", width=WIDTH - 30)
    label(surface, 16, 38, words, size=12, color=INK)
    heat = made.add_axes((16 / WIDTH, 1 - 246 / HEIGHT, 274 / WIDTH, 190 / HEIGHT))
    scale = 127.0 if stage.quantized else most
    heat.imshow(heat_colors(stage.values[:ROWS, :COLUMNS], scale), interpolation="none", aspect="auto")
    heat.set(xticks=[], yticks=[])
    bars = made.add_axes((66 / WIDTH, 42 / HEIGHT, 206 / WIDTH, 124 / HEIGHT))
    _bars(bars, stage, most, top)
    return Drawing(f"stage-{place + 1}", made, surface, alt)


def heat_colors(values: Array, scale: float) -> Array:
    """Maps values to colours, uint8 (rows, columns, 3): violet below zero, orange above, green for zero."""
    from matplotlib.colors import to_rgb

    share = np.clip(np.asarray(values, np.float64) / scale, -1, 1)
    share = np.sign(share) * np.sqrt(np.abs(share))  # most weights are small
    below, above = (np.array([to_rgb(color) for color in side]) for side in (_NEGATIVE, _POSITIVE))
    colors = np.empty((*share.shape, 3))
    for channel in range(3):
        low = np.interp(share, [-1, -0.5, 0], below[:, channel])
        colors[..., channel] = np.where(share < 0, low, np.interp(share, [0, 0.5, 1], above[:, channel]))
    colors[np.asarray(values) == 0] = to_rgb(ZERO)
    return np.asarray(np.rint(255 * colors).astype(np.uint8))


def _histogram(stage: Stage, most: float) -> tuple[Array, Array]:
    """Returns the counts of nonzero weights, and the edges of their bins."""
    edges = np.arange(-127.5, 128) if stage.quantized else np.linspace(-most, most, _BINS + 1)
    return np.histogram(stage.values[stage.values != 0], edges)


def _bars(axes: Any, stage: Stage, most: float, top: float) -> None:
    """Draws the histogram, with counts on a logarithmic axis and a wider bar for the zeros."""
    counts, edges = _histogram(stage, most)
    if stage.quantized:  # a bar a value would be narrower than a pixel
        values = (edges[:-1] + edges[1:]) / 2
        axes.vlines(values[counts > 0], 0.7, counts[counts > 0], color=BAR, lw=1.6)
    else:
        axes.stairs(counts, edges, baseline=0.7, fill=True, color=BAR)
    zeros, width = round(stage.zeros * stage.values.size), (edges[-1] - edges[0]) / 60
    if zeros:
        axes.bar([0], [zeros], width, bottom=0, color=ZERO, zorder=3)
    axes.set_yscale("log")
    end = 127 if stage.quantized else most
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0.7, top))
    axes.set_xticks([-end, 0, end], [f"{-end:.3g}".replace("-", "−"), "0", f"{end:.3g}"])
    axes.set_xlabel("int8 value" if stage.quantized else "weight", labelpad=2)
    axes.set_ylabel("weights", labelpad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.grid(axis="y", color=LINE, lw=0.6, alpha=0.6)
    axes.set_axisbelow(True)


def draw_key() -> Drawing:
    """Draws the legend of the heat maps' colours."""
    made, axes = canvas(470, 34)
    ramp = np.concatenate([-(np.linspace(1, 0.01, 90) ** 2), np.linspace(0.01, 1, 90) ** 2])
    axes.imshow(heat_colors(ramp[None], 1.0), extent=(70, 250, 25, 9), aspect="auto", interpolation="none")
    label(axes, 62, 17, "negative", size=11, ha="right", color=SOFT)
    label(axes, 258, 17, "positive", size=11, color=SOFT)
    axes.imshow(heat_colors(np.zeros((1, 1)), 1.0), extent=(340, 358, 25, 9), aspect="auto", interpolation="none")
    label(axes, 366, 17, "exactly zero", size=11, color=SOFT)
    axes.set(xlim=(0, 470), ylim=(34, 0))
    return Drawing(
        "key", made, axes, "Colours of the heat maps: violet is negative, orange positive, green exactly zero"
    )


def describe_corner(kernel: KernelStages) -> str:
    """Describes the part of the kernel that a heat map shows."""
    rows, columns = kernel.stages[0].values.shape
    if rows <= ROWS and columns <= COLUMNS:
        return "all weights"
    return f"the first {min(rows, ROWS)} × {min(columns, COLUMNS)} of {rows} × {columns} weights"
