"""Pixels of a drawing, for PNG images.

pixels(drawing, 1.5)        # uint8 (height, width, 3), 1.5 pixels for each of the drawing's
"""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array
from hil.harness.drawing.canvas import DPI, Drawing


def pixels(drawing: Drawing, scale: float) -> Array:
    """Renders a drawing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawing.figure.set_dpi(DPI * scale)
    agg = FigureCanvasAgg(drawing.figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].copy()
