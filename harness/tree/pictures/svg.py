"""Inline SVG of a drawing: without declarations, with unique ids and the page's colours and font.

    inline(drawing)        # '<svg id="tree" class="drawing" viewBox="0 0 1240 500" role="img" aria-label="...">...'

The same drawing gives the same text.  Colours become variables (`var(--ink)`), which the page's dark mode redefines;
tooltips become `<title>`.  Text stays text: the XML of matplotlib is parsed, changed and written as XML again.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

from hil.harness.tree.pictures.canvas import COLORS, Drawing, sanitize

_REFERENCE = re.compile(r"(?<=url\(#)([^)]+)|(?<=^#)(.+)")
_COLOR = re.compile("|".join(COLORS))
_FONT = re.compile(r"'DejaVu Sans'.*?(?=;|$)")
_DROPPED = ("metadata", "style")


def inline(drawing: Drawing) -> str:
    """Returns the drawing as one `<svg>` element."""
    written = io.BytesIO()
    drawing.figure.savefig(written, format="svg", metadata={"Date": None})
    root = ET.fromstring(written.getvalue())
    for element in root.iter():
        for child in [child for child in element if _local(child.tag) in _DROPPED]:
            element.remove(child)
        _rewrite(element, drawing)
    width, height = (float(root.get(side, "0pt").removesuffix("pt")) for side in ("width", "height"))
    root.attrib = {
        **{"xmlns": "http://www.w3.org/2000/svg", "id": drawing.name, "class": "drawing", "role": "img"},
        **{"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}", "height": f"{height:g}"},
        "aria-label": sanitize(drawing.alt),
    }
    return ET.tostring(root, encoding="unicode")


def _rewrite(element: ET.Element, drawing: Drawing) -> None:
    gid = element.get("id", "")
    element.tag = _local(element.tag)
    element.attrib = {_local(name): _value(_local(name), value, drawing) for name, value in element.attrib.items()}
    if gid in drawing.titles:
        title = ET.Element("title")
        title.text = sanitize(drawing.titles[gid])
        element.insert(0, title)


def _value(name: str, value: str, drawing: Drawing) -> str:
    if name == "id":
        return f"{drawing.name}-{value}"
    if name == "style":
        named = _COLOR.sub(lambda found: f"var(--{COLORS[found[0]][0]})", value)
        value = _FONT.sub("var(--font)", named)
    if name in ("style", "href", "clip-path") and not value.startswith("data:"):
        return _REFERENCE.sub(lambda found: f"{drawing.name}-{found[0]}", value)
    return value


def _local(name: str) -> str:
    """Returns a name without its namespace."""
    return name.rpartition("}")[2]
