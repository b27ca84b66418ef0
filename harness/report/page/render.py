"""Rendering of the page: template, style and script in one file, with a content policy of their hashes.

Texts from outside are escaped by Jinja2, and characters that HTML does not allow are replaced.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from hil.harness.drawing.html import content_hash, environment
from hil.harness.drawing.palette import palette
from hil.harness.report.content import Content, Failure
from hil.harness.report.page.changes import change_rows, mark_rows
from hil.harness.report.page.figure_format import format_night, format_time
from hil.harness.report.page.finding_sections import MOST_ROWS, sections
from hil.harness.report.page.layer_tables import MOST_TABLES, layer_tables
from hil.harness.report.page.leaf_groups import MOST_PICTURES, leaf_groups, leaf_pictures, leaf_table
from hil.harness.report.page.trend_data import encode, order_trends

_SCRIPTS = ("tables.js", "plot.js", "trend_data.js", "trends.js", "start.js")
_MOST_FAILURES = 200
_MOST_LOG, _MOST_LOGS = 20_000, 1_000_000
"""Characters of a log, and of all."""
_MOST_EVENTS = 50
"""Events of a board."""
_SIGNS = {"worse": "✗", "failed": "✗", "unknown": "?", "not run": "!", "good": "✓", "empty": "○"}


def page(content: Content) -> str:
    """Renders the page; the same content gives the same text."""
    from jinja2 import PackageLoader, PrefixLoader
    from markupsafe import Markup

    packages = {"page": "hil.harness.report.page", "tree": "hil.harness.tree.pictures"}
    loader = PrefixLoader({name: PackageLoader(package, "") for name, package in packages.items()})
    templates = environment(loader, trim_blocks=True)
    templates.globals.update(format_time=format_time, format_night=format_night)
    css, script = palette() + _read("page.css"), "".join(_read(name) for name in _SCRIPTS)
    return templates.get_template("page/page.html.j2").render(
        policy=_policy(css, script), css=Markup(css), script=Markup(script), **_values(content)
    )


def _values(content: Content) -> dict[str, Any]:
    trends, groups = order_trends(content), leaf_groups(content)
    trend_of = {trend.series.id: place for place, trend in enumerate(trends)}
    shown = content.failures[:_MOST_FAILURES]
    changes, marks = change_rows(content, trends), mark_rows(content)
    return {
        "content": content,
        "run": None if content.run is None else content.runs[content.run],
        "sign": _SIGNS.get(content.verdict, "?"),
        "sections": sections(content, trend_of),
        "changes": changes[0],
        "changes_hidden": changes[1],
        "marks": marks[0],
        "marks_hidden": marks[1],
        "trends": len(trends),
        "tables": [leaf_table(group) for group in groups],
        "layers": layer_tables(content.profiles)[:MOST_TABLES],
        "layers_hidden": max(0, len(content.profiles) - MOST_TABLES),
        "pictures": min(len(groups), MOST_PICTURES),
        "failures": [(failure, _log_lines(failure, len(shown))) for failure in shown],
        "boards": [(board, board.events[-_MOST_EVENTS:]) for board in content.boards],
        "nights": list(reversed(content.runs))[:MOST_ROWS],
        "data": encode(content, trends, leaf_pictures(groups)),
    }


def _log_lines(failure: Failure, failures: int) -> list[str]:
    """Returns the end of a log, which is shorter where there are many."""
    return failure.log[-min(_MOST_LOG, _MOST_LOGS // failures) :].splitlines()


def _policy(css: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{content_hash(script)}'; style-src '{content_hash(css)}'; "
        "connect-src 'none'; img-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (files("hil.harness.report.page") / name).read_text(encoding="utf-8")
