"""Canvas of all drawings: axes in pixels, named colours, plain text.

    with style():
        drawing = Drawing("tree", *canvas(960, 400), alt="the tree")
        label(drawing.axes, 10, 20, "<prune>", color=INK, width=120)

A drawing is a matplotlib figure at 72 dpi, so that one unit is one pixel of the SVG.  pyplot is not used, and the
user's matplotlib settings have no effect.  Text is never parsed as mathematics: names come from files.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, PALE, LINE = "#1f2328", "#57606a", "#6e7781", "#d0d7de"
PAPER, CARD, TINT, ACCENT = "#ffffff", "#f6f8fa", "#dafbe1", "#0969da"
GREEN, AMBER, RED = "#1a7f37", "#926200", "#cf222e"
BAR, ZERO = "#8c6bb1", "#1f7a7a"
COLORS = {
    INK: ("ink", "#e6edf3"),
    SOFT: ("soft", "#9da7b3"),
    PALE: ("pale", "#8b949e"),
    LINE: ("line", "#3d444d"),
    PAPER: ("paper", "#0d1117"),
    CARD: ("card", "#161b22"),
    TINT: ("tint", "#12261e"),
    ACCENT: ("accent", "#58a6ff"),
    GREEN: ("green", "#3fb950"),
    AMBER: ("amber", "#d29922"),
    RED: ("red", "#ff7b72"),
    BAR: ("bar", "#a58bc9"),
    ZERO: ("zero", "#1f7a7a"),  # as in the heat maps, which are the same by day and night
}
"""Colour in light mode -> its name in the page's style sheet, and its value in dark mode."""
DPI = 72
_EM = 0.62
"""Average width of digits and lower-case letters of DejaVu Sans, as a share of the font size."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that XML does not allow, line ends, and those that turn the direction of the text around a name."""


@dataclass(frozen=True)
class Drawing:
    """A matplotlib figure with axes in pixels, y downwards; `alt` is its text alternative.

    `titles` are the tooltips: gid of an artist -> text.
    """

    name: str
    figure: Figure
    axes: Axes
    alt: str
    titles: dict[str, str] = field(default_factory=dict)

    def tooltip(self, artist: Any, text: str) -> None:
        gid = f"tip-{len(self.titles)}"
        artist.set_gid(gid)
        self.titles[gid] = text


@contextmanager
def style() -> Iterator[None]:
    """Sets matplotlib's defaults with the settings of this project while the block runs."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a viewer has it: text stays text
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                **{"font.family": "DejaVu Sans", "font.size": 12, "text.parse_math": False, "text.usetex": False},
                **{"svg.fonttype": "none", "svg.hashsalt": "hil", "svg.image_inline": True},
                **{"text.color": INK, "axes.edgecolor": LINE, "axes.labelcolor": SOFT, "axes.facecolor": "none"},
                **{"xtick.color": LINE, "ytick.color": LINE, "xtick.labelcolor": SOFT, "ytick.labelcolor": SOFT},
                **{"axes.formatter.use_mathtext": False, "axes.unicode_minus": True, "image.composite_image": False},
                **{"xtick.labelsize": 11, "ytick.labelsize": 11, "axes.labelsize": 12, "axes.linewidth": 1},
            }
        )
        yield


def new_figure(width: float, height: float) -> Figure:
    """Creates an empty figure of a size in pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Creates a figure and its axes: x to the right and y downwards, in pixels."""
    made = new_figure(width, height)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return made, axes


def sanitize(text: str) -> str:
    """Returns text in one line, with the characters replaced that XML does not allow or that turn its direction."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.splitlines()))


def shorten(text: str, width: float, size: float = 12) -> str:
    """Shortens text to about `width` pixels."""
    text, letters = sanitize(text), max(1, int(width / (_EM * size)))
    return text if len(text) <= letters else f"{text[: max(1, letters - 1)]}…"


def label(axes: Axes, x: float, y: float, text: str, *, size: float = 12, width: float = 0, **settings: Any) -> Any:
    """Draws one line of text, vertically centred at `y`, shortened to `width` pixels if given."""
    shown = shorten(text, width, size) if width else sanitize(text)
    settings = {"va": "center", "color": INK, **settings}
    return axes.text(x, y, shown, fontsize=size, **settings)


def box(axes: Axes, x: float, y: float, width: float, height: float, **settings: Any) -> Any:
    """Draws a box with round corners."""
    from matplotlib.patches import FancyBboxPatch

    radius = settings.pop("radius", 6)
    shape = f"round,pad=0,rounding_size={radius}"
    return axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, **{"linewidth": 1, **settings}))
