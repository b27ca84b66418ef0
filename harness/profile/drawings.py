"""Drawings of profiles and sweeps: cycles by layer and cause, and latency against memory."""

from __future__ import annotations

from collections.abc import Sequence

from hil.harness.drawing.canvas import (
    ACCENT,
    AMBER,
    BAR,
    DPI,
    GREEN,
    INK,
    LINE,
    PALE,
    RED,
    ZERO,
    Drawing,
    label,
    new_figure,
    sanitize,
    shorten,
)
from hil.harness.pareto_front import pareto_front
from hil.harness.profile.layer import Placement
from hil.harness.profile.profile import Profile
from hil.harness.profile.sweep import SweepRow, front
from hil.npu.timing.causes import Cause

CAUSE_COLORS = {
    Cause.MACS: GREEN,
    Cause.OUTPUT: ACCENT,
    Cause.ISSUE: PALE,
    Cause.WEIGHTS: AMBER,
    Cause.FEATURE_MAPS: BAR,
    Cause.DMA: RED,
    Cause.COMMANDS: ZERO,
}
_WIDTH, _ROW, _TOP, _BOTTOM, _LEFT, _RIGHT = 980, 17, 40, 46, 210, 90
_MOST_ROWS = 400
_SWEEP_WIDTH, _SWEEP_HEIGHT = 520, 400
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HUES = (GREEN, ACCENT, AMBER, BAR, RED, ZERO)


def draw_layers(profile: Profile) -> Drawing:
    """Draws a bar for each layer on the NPU, by cause; a tick is Vela's estimate."""
    layers = profile.of(Placement.NPU)[:_MOST_ROWS]
    height = _TOP + _ROW * max(1, len(layers)) + _BOTTOM
    made = new_figure(_WIDTH, height)
    area = (_LEFT / _WIDTH, _BOTTOM / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, 1 - (_TOP + _BOTTOM) / height)
    axes = made.add_axes(area)
    drawing = Drawing("layers", made, axes, f"Cycles by layer: {_words(profile)}")
    axes.set(ylim=(max(1, len(layers)) - 0.5, -0.5), xlabel="cycles (modelled)")
    axes.set_yticks(range(len(layers)), [shorten(layer.title, _LEFT - 10, 11) for layer in layers])
    axes.grid(axis="x", color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for place, layer in enumerate(layers):
        left = 0
        for cause in Cause:
            if taken := layer.causes.get(cause, 0):
                (bar,) = axes.barh(place, taken, left=left, height=0.72, color=CAUSE_COLORS[cause], lw=0)
                drawing.tooltip(bar, f"{layer.title}: {taken:,} cycles, {cause.value}")
                left += taken
        label(axes, max(left, layer.vela_cycles or 0), place, f"  {layer.cycles:,}", size=10)
        if layer.vela_cycles is not None:
            axes.plot([layer.vela_cycles] * 2, [place - 0.42, place + 0.42], color=INK, lw=1.2)
    _draw_key(drawing, profile)
    return drawing


def draw_sweep(rows: Sequence[SweepRow], memory: str) -> Drawing:
    """Draws latency against `memory`, SRAM or "flash and DRAM"; the line joins the Pareto front of these two.

    A dark edge marks the front of all three.
    """
    made = new_figure(_SWEEP_WIDTH, _SWEEP_HEIGHT)
    axes = made.add_axes((0.15, 0.13, 0.82, 0.72))
    points = [(row, _size(row, memory) / 1024, row.cost.ms) for row in rows if row.cost]
    drawing = Drawing(f"latency-{memory.lower().replace(' ', '-')}", made, axes, _alt(points, memory))
    axes.set(xlabel=f"{memory} in KiB (by Vela)", ylabel="ms (modelled)")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.grid(color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    accelerators = list(dict.fromkeys(row.settings.accelerator for row in rows))
    best = front(rows)
    _draw_front(drawing, [(size, ms) for _, size, ms in points])
    for row, size, ms in points:
        kind = accelerators.index(row.settings.accelerator) % len(_HUES)
        on_front = row.place in best
        (dot,) = axes.plot(
            [size], [ms], ls="none", marker=_MARKERS[kind], color=_HUES[kind], ms=9 if on_front else 5,
            mec=INK if on_front else _HUES[kind], mew=1.2 if on_front else 0, alpha=1 if on_front else 0.6,
        )  # fmt: skip
        note = ", on the Pareto front" if on_front else ""
        drawing.tooltip(dot, f"{row.settings.title} {row.options}: {ms:.3f} ms, {size:,.1f} KiB{note}")
    for kind, name in enumerate(accelerators):
        column, line = kind % 3, kind // 3
        x, y = 0.02 + 0.33 * column, 1.13 - 0.06 * line
        axes.plot([x], [y], transform=axes.transAxes, clip_on=False, ls="none", marker=_MARKERS[kind % len(_HUES)],
                  color=_HUES[kind % len(_HUES)], ms=6)  # fmt: skip
        label(axes, x + 0.02, y, sanitize(name), size=11, transform=axes.transAxes)
    return drawing


def _draw_front(drawing: Drawing, points: Sequence[tuple[float, float]]) -> None:
    """Draws the least latency at each size as steps."""
    best = sorted({points[place] for place in pareto_front(points)})
    if best:
        sizes, times = zip(*best, strict=True)
        drawing.axes.step(sizes, times, where="post", color=ACCENT, lw=1.5, alpha=0.7, zorder=1)


def _draw_key(drawing: Drawing, profile: Profile) -> None:
    """Draws the colours of the causes above the bars, and the tick of Vela's estimate."""
    signs = [(cause.value, "s", CAUSE_COLORS[cause]) for cause in profile.causes]
    signs += [("Vela's estimate", "|", INK)] if profile.vela_cycles is not None else []
    axes, x, top = drawing.axes, 0.0, 1 + 18 / (drawing.figure.get_figheight() * DPI - _TOP - _BOTTOM)
    for name, marker, color in signs:
        axes.plot([x], [top], transform=axes.transAxes, clip_on=False, ls="none", marker=marker, color=color, ms=8)
        label(axes, x + 0.012, top, name, size=11, transform=axes.transAxes)
        x += 0.035 + 0.0115 * len(name)


def _words(profile: Profile) -> str:
    most = sorted(profile.layers, key=lambda layer: -layer.cycles)[:5]
    return ", ".join(f"{layer.title} {layer.cycles:,}" for layer in most)


def _size(row: SweepRow, memory: str) -> int:
    assert row.cost is not None
    return row.cost.sram_bytes if memory == "SRAM" else row.cost.flash_bytes + row.cost.dram_bytes


def _alt(points: Sequence[tuple[SweepRow, float, float]], memory: str) -> str:
    if not points:
        return "no setting could be compiled"
    row, size, ms = min(points, key=lambda point: point[2])
    fastest = f"{row.settings.title}: {ms:.3f} ms, {size:,.1f} KiB"
    return f"Latency against {memory} of {len(points)} settings; the fastest is {fastest}"
