"""CSV of a profile: a line for each layer with plain numbers, and one for the whole."""

from __future__ import annotations

import csv
import io
from typing import Any

from hil.harness.profile.layer import Layer
from hil.harness.profile.profile import Profile
from hil.harness.profile.totals import total_layer
from hil.npu.timing.causes import Cause


def profile_csv(profile: Profile) -> str:
    """Renders the file; sizes are in bytes, ratios and utilization are shares."""
    memories = dict.fromkeys(part.memory for layer in profile.layers for part in layer.traffic)
    rows = [_row(layer, tuple(memories)) for layer in (*profile.layers, total_layer(profile))]
    return csv_text(rows)


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Renders rows of the same keys."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _row(layer: Layer, memories: tuple[str, ...]) -> dict[str, Any]:
    traffic = {part.memory: part for part in layer.traffic}
    weights = layer.weights
    return {
        "layer": layer.title,
        "output": layer.name,
        "placement": layer.placement.value,
        "operations": layer.operations,
        "cycles": layer.cycles,
        "bound": layer.bound.value if layer.bound else "",
        **{f"cycles {cause.value}": layer.causes.get(cause, 0) for cause in Cause},
        "vela cycles": layer.vela_cycles,
        "macs": layer.macs,
        "mac utilization": layer.utilization,
        "sram live": layer.live_bytes,
        "weights": weights.elements if weights else None,
        "encoded weights": weights.encoded if weights else None,
        "ratio": weights.ratio if weights else None,
        "zeros": weights.zeros if weights else None,
        "distinct": weights.distinct if weights else None,
        **{f"{name} read": traffic[name].read if name in traffic else 0 for name in memories},
        **{f"{name} written": traffic[name].written if name in traffic else 0 for name in memories},
        "reason": layer.reason,
    }
