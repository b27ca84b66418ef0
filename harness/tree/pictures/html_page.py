"""HTML page of a walk with inline drawings.  Its content policy forbids network and scripts, and it needs neither.

Text from files (names of models, layers and leaves, reasons) is escaped: by Jinja2 in the page, by the XML writer in
the drawings.
"""

from __future__ import annotations

from typing import Any

from hil.harness.drawing.canvas import Drawing, style
from hil.harness.drawing.html import environment
from hil.harness.drawing.palette import palette
from hil.harness.drawing.svg import inline
from hil.harness.evaluation.limit_check import format_limits
from hil.harness.tree.legend import legend
from hil.harness.tree.pictures.figure_table import format_target
from hil.harness.tree.pictures.kernel_drawing import describe_corner, draw_key, draw_stages
from hil.harness.tree.pictures.kernel_stages import KernelStages
from hil.harness.tree.pictures.leaf_rows import LEAF_HEADINGS, leaf_rows, pale_row
from hil.harness.tree.pictures.scatter import LATENCY, WEIGHTS, draw_scatter
from hil.harness.tree.pictures.tree_drawing import draw_tree
from hil.harness.tree.result import Walk
from hil.harness.tree.text_report import verdict_lines
from hil.harness.tree.training_report import training_rows


def html(found: Walk, kernel: KernelStages | None = None) -> str:
    """Renders the page; the same walk gives the same text."""
    from jinja2 import PackageLoader
    from markupsafe import Markup

    templates = environment(PackageLoader("hil.harness.tree.pictures", ""))
    with style():
        drawings = _drawings(found, kernel)
    return templates.get_template("page.html.j2").render(
        walk=found,
        kernel=kernel,
        palette=Markup(palette()),
        asked=format_limits(found.limits, found.scale),
        where=format_target(found),
        verdict=verdict_lines(found)[0],
        headings=LEAF_HEADINGS,
        rows=[*leaf_rows(found), *(pale_row(name) for name in found.not_walked)],
        legend=legend(found, LEAF_HEADINGS),
        trainings=training_rows(found.trained),
        remarks=[line.strip() for line in verdict_lines(found)[1:] if line.strip() not in _commands(found)],
        identity=[(name.replace("_", " "), value) for name, value in found.identity.items()],
        **drawings,
    )


def _drawings(found: Walk, kernel: KernelStages | None) -> dict[str, Any]:
    made = {
        "tree": _inline(draw_tree(found)),
        "tree_narrow": _inline(draw_tree(found, narrow=True)),
        "latency": _inline(draw_scatter(found, LATENCY)),
        "weights": _inline(draw_scatter(found, WEIGHTS)),
    }
    if kernel is None:
        return made
    stages = [_inline(drawing) for drawing in draw_stages(kernel)]
    return {**made, "stages": stages, "key": _inline(draw_key()), "corner": describe_corner(kernel)}


def _inline(drawing: Drawing) -> Any:
    from markupsafe import Markup

    return Markup(inline(drawing))  # whose text is escaped


def _commands(found: Walk) -> tuple[str, str]:
    return found.verdict.optimize, found.verdict.run
