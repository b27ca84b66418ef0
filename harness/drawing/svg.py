"""Inline SVG of a drawing: without declarations, with unique ids and the page's colours and font.

    inline(drawing)        # '<svg id="tree" class="drawing" viewBox="0 0 1240 500" role="img" aria-label="...">...'

The same drawing gives the same text.  Styles become presentation attributes, which need no `unsafe-inline` in a content
policy, and colours variables (`var(--ink)`), which the page's dark mode redefines; tooltips become `<title>`.  Text
stays text: the XML of matplotlib is parsed, changed and written as XML again.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

from hil.harness.drawing.canvas import COLORS, Drawing, sanitize

_REFERENCE = re.compile(r"(?<=url\(#)([^)]+)|(?<=^#)(.+)")
_COLOR = re.compile("|".join(COLORS))
_FONT = re.compile(r"(?:(?P<weight>bold|\d+) )?(?P<size>[\d.]+px) '")
"""Begin of the shorthand `font`, which is no presentation attribute; matplotlib before 3.10 writes it."""
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
    given = {_local(name): value for name, value in element.attrib.items()}
    given |= _presentation(given.pop("style", ""))
    element.attrib = {name: _value(name, value, drawing) for name, value in given.items()}
    if gid in drawing.titles:
        title = ET.Element("title")
        title.text = sanitize(drawing.titles[gid])
        element.insert(0, title)


def _presentation(style: str) -> dict[str, str]:
    """Returns the declarations of a style as presentation attributes, with the page's colours and font."""
    named = _COLOR.sub(lambda found: f"var(--{COLORS[found[0]][0]})", style)
    parts = (part.partition(":") for part in named.split(";"))
    found = {name.strip(): value.strip() for name, _, value in parts if value}
    if shorthand := _FONT.match(found.pop("font", "")):
        found |= {f"font-{name}": value for name, value in shorthand.groupdict().items() if value}
        found["font-family"] = ""
    return {name: "var(--font)" if name == "font-family" else value for name, value in found.items()}


def _value(name: str, value: str, drawing: Drawing) -> str:
    if name == "id":
        return f"{drawing.name}-{value}"
    if not value.startswith("data:") and (name == "href" or "url(#" in value):
        return _REFERENCE.sub(lambda found: f"{drawing.name}-{found[0]}", value)
    return value


def _local(name: str) -> str:
    """Returns a name without its namespace."""
    return name.rpartition("}")[2]
