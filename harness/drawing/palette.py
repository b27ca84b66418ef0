"""Colours and fonts of the pages as a style sheet: variables for light, dark and paper."""

from __future__ import annotations

from hil.harness.drawing.canvas import COLORS

_FONTS = """:root {
  --font: system-ui, "Segoe UI", Roboto, "DejaVu Sans", Verdana, sans-serif;
  --mono: ui-monospace, "DejaVu Sans Mono", Consolas, monospace;
}
"""


def palette() -> str:
    """Returns the variables of `COLORS` and of the fonts as CSS; paper is always light."""
    light = " ".join(f"--{name}: {color};" for color, (name, _) in COLORS.items())
    dark = " ".join(f"--{name}: {color};" for name, color in COLORS.values())
    schemes = f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return _FONTS + schemes
