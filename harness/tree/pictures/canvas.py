"""What all drawings share: a surface in pixels, colours with names, text that is only text.

    with style():
        drawing = Drawing("tree", *canvas(960, 400), alt="the tree")
        label(drawing.axes, 10, 20, "<prune>", color=INK, width=120)

A drawing is a matplotlib figure at 72 dpi, so that one unit is one pixel of the SVG.  Nothing touches pyplot, and the
user's own matplotlib settings do not reach a picture.  Text is never read as mathematics: names come from files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, PALE, LINE = "#1f2328", "#57606a", "#6e7781", "#d0d7de"
PAPER, CARD, TINT, ACCENT = "#ffffff", "#f6f8fa", "#dafbe1", "#0969da"
GREEN, AMBER, RED = "#1a7f37", "#9a6700", "#cf222e"
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
"""Colour in daylight -> its name in the page's style sheet, and its value in the dark."""
DPI = 72
_EM = 0.62
"""Width of a letter of DejaVu Sans in its size, on average over figures and small letters."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML does not take; line ends go with it."""


@dataclass(frozen=True)
class Drawing:
    """A figure with one surface in pixels, y downwards; `alt` says in words what it shows.

    `titles` are tooltips: gid of an artist -> text.
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
    """matplotlib as it comes, with this project's few settings, for the time of a block."""
    import matplotlib

    with matplotlib.rc_context():
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


def figure(width: float, height: float) -> Figure:
    """An empty figure of that many pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure and its surface: x to the right and y downwards, in pixels."""
    made = figure(width, height)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return made, axes


def plain(text: str) -> str:
    """Text from a file in one line, without what no document may hold."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.splitlines()))


def fit(text: str, width: float, size: float = 12) -> str:
    """Text that is cut to about `width` pixels."""
    text, letters = plain(text), max(1, int(width / (_EM * size)))
    return text if len(text) <= letters else f"{text[: max(1, letters - 1)]}…"


def label(axes: Axes, x: float, y: float, text: str, *, size: float = 12, width: float = 0, **settings: Any) -> Any:
    """One line of text, its middle at `y`; cut to `width` pixels if that is given."""
    shown = fit(text, width, size) if width else plain(text)
    settings = {"va": "center", "color": INK, **settings}
    return axes.text(x, y, shown, fontsize=size, **settings)


def box(axes: Axes, x: float, y: float, width: float, height: float, **settings: Any) -> Any:
    """A box with round corners."""
    from matplotlib.patches import FancyBboxPatch

    radius = settings.pop("radius", 6)
    shape = f"round,pad=0,rounding_size={radius}"
    return axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, **{"linewidth": 1, **settings}))
