"""A report in the form that a file's suffix names: `.html` a page, `.md` Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hil.core.errors import BadInputError

if TYPE_CHECKING:
    from hil.harness.report.content import Content

HTML, MARKDOWN = "html", "markdown"
FORMS = {".html": HTML, ".htm": HTML, ".md": MARKDOWN, ".markdown": MARKDOWN}
"""Suffix -> form."""


def suffix_form(path: Path) -> str:
    """Returns the form that a file's suffix names; raises `BadInputError` for another suffix."""
    if (form := FORMS.get(path.suffix.lower())) is None:
        raise BadInputError(f"{path}: its suffix names no form of a report", hint=f"known are {', '.join(FORMS)}")
    return form


def render(content: Content, form: str) -> str:
    """Returns the report as text."""
    if form == HTML:
        from hil.harness.report.page import page

        return page(content)
    from hil.harness.report.markdown import markdown

    return markdown(content)
