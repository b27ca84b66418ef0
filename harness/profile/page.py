"""Page of a profile or a sweep: one HTML file that opens without a network.

Its content policy allows its own style, by its hash, and nothing else; it has no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from hil.harness.drawing.canvas import Drawing, style
from hil.harness.drawing.html import content_hash, environment
from hil.harness.drawing.palette import palette
from hil.harness.drawing.svg import inline
from hil.harness.profile.columns import cells, columns
from hil.harness.profile.comparison import compare, pair_record
from hil.harness.profile.drawings import draw_layers, draw_sweep
from hil.harness.profile.layer import Placement
from hil.harness.profile.profile import Profile
from hil.harness.profile.sweep import SweepRow, front
from hil.harness.profile.sweep_table import HEADINGS, TEXTS, by_latency
from hil.harness.profile.sweep_table import cells as sweep_cells
from hil.harness.profile.sweep_table import remarks as sweep_remarks
from hil.harness.profile.text_report import heading, limit_sentence, remarks
from hil.harness.profile.totals import total_layer


@dataclass(frozen=True)
class PageRow:
    """A row of the table: cells, those that are text and not numbers, and emphasis."""

    cells: Sequence[str]
    text: Sequence[bool]
    strong: bool = False


def profile_page(profile: Profile, changes: Sequence[str] = ()) -> str:
    """Renders the page of a profile; the same profile gives the same text."""
    found = columns(profile)
    text = [not column.number for column in found]
    rows = [PageRow(cells(layer, profile, found), text) for layer in profile.layers]
    rows.append(PageRow(cells(total_layer(profile), profile, found), text, strong=True))
    with style():
        drawings = [inline(draw_layers(profile))] if profile.of(Placement.NPU) else []
    top = [line for line in (heading(profile), limit_sentence(profile), *changes) if line]
    headings = [column.heading.replace("\n", " ") for column in found]
    return _render(f"Profile of {profile.name}", top, drawings, headings, rows, remarks(profile))


def comparison_page(this: Profile, other: Profile) -> str:
    """Renders the page of a comparison: both drawings, and the layers side by side."""
    pairs = [pair_record(pair) for pair in compare(this, other)]
    text = ["bound" in name or name == "title" for name in pairs[0]]
    rows = [PageRow([_shown(value) for value in pair.values()], text) for pair in pairs]
    with style():
        first, second = draw_layers(this), replace(draw_layers(other), name="layers-of-other")
        drawings = [inline(first), inline(second)]
    headings = [name.replace("_", " ") for name in pairs[0]]
    top = [heading(this), f"other: {heading(other)}"]
    return _render(f"{this.name} against {other.name}", top, drawings, headings, rows, remarks(this))


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else value or ""


def sweep_page(name: str, rows: Sequence[SweepRow]) -> str:
    """Renders the page of a sweep."""
    best = front(rows)
    text = [name in TEXTS for name in HEADINGS]
    shown = [PageRow(sweep_cells(row, best), text, row.place in best) for row in by_latency(rows) if row.cost]
    with style():
        drawings = [inline(drawing) for drawing in sweep_drawings(rows)]
    top = [f"{name}: {len(rows)} settings, the fastest first"]
    return _render(f"Sweep of {name}", top, drawings, list(HEADINGS), shown, sweep_remarks(rows))


def sweep_drawings(rows: Sequence[SweepRow]) -> list[Drawing]:
    """The drawings of a sweep: latency against SRAM, and against flash with DRAM."""
    return [draw_sweep(rows, "SRAM"), draw_sweep(rows, "flash and DRAM")]


def _render(
    title: str,
    top: Sequence[str],
    drawings: Sequence[str],
    headings: Sequence[str],
    rows: Sequence[PageRow],
    below: Sequence[str],
) -> str:
    from jinja2 import PackageLoader
    from markupsafe import Markup

    css = palette() + (files("hil.harness.profile") / "page.css").read_text(encoding="utf-8")
    templates = environment(PackageLoader("hil.harness.profile", ""))
    return templates.get_template("page.html.j2").render(
        title=title,
        policy=f"default-src 'none'; style-src '{content_hash(css)}'; base-uri 'none'; form-action 'none'",
        css=Markup(css),
        top=top,
        drawings=[Markup(drawing) for drawing in drawings],
        headings=headings,
        rows=rows,
        remarks=below,
    )
