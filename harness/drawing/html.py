"""HTML pages that open without a network: templates that escape, and hashes for a content policy.

    html = environment(loader).get_template("page.html.j2").render(title="Profile")
    policy = f"default-src 'none'; style-src '{content_hash(css)}'"

Texts from outside are escaped by Jinja2, and characters that HTML does not allow are replaced.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from hil.harness.drawing.canvas import sanitize

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment


def environment(loader: BaseLoader, *, trim_blocks: bool = False) -> Environment:
    """Templates of a loader; an undefined name in one is an error."""
    from jinja2 import Environment, StrictUndefined

    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=trim_blocks
    )


def content_hash(text: str) -> str:
    """Hash of an inline style or script, as a content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _printable(value: Any) -> Any:
    return sanitize(value) if type(value) is str else value
