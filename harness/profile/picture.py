"""PNG pictures of a profile or a sweep: the page's drawings, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from hil.harness.drawing.canvas import Drawing, style
from hil.harness.drawing.pixels import pixels
from hil.harness.profile.drawings import draw_layers
from hil.harness.profile.page import sweep_drawings
from hil.harness.profile.profile import Profile
from hil.harness.profile.sweep import SweepRow

_SCALE = 1.5


def profile_png(profile: Profile) -> bytes:
    """Renders the bars of the layers."""
    with style():
        return _png([draw_layers(profile)])


def sweep_png(rows: Sequence[SweepRow]) -> bytes:
    """Renders latency against SRAM and against flash."""
    with style():
        return _png(sweep_drawings(rows))


def _png(drawings: Sequence[Drawing]) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(np.concatenate([pixels(drawing, _SCALE) for drawing in drawings], axis=1)).save(written, "PNG")
    return written.getvalue()
