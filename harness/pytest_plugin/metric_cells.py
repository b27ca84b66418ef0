"""The metric in the table of a run: title, headings, cells and legend, each in the unit of the model's own metric.

Rows are those of `hil.harness.pytest_plugin.summary`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hil.harness.model import Scale

Row = Mapping[str, Any]


def title(model: str, rows: Sequence[Row]) -> str:
    """The model with its metric, and the value of the float base if there is one."""
    base = next((row for row in rows if "base" in row), None)
    own = base or next((row for row in rows if "metric" in row), None)
    if own is None:
        return model
    value = f" {_scale(own).text(base['base'])}" if base else ""
    less = ", less is better" if own["lower_is_better"] else ""
    return f"{model}: {'float base ' if base else ''}{own['metric']}{value} of {own['labelled']} test samples{less}"


def headings(rows: Sequence[Row]) -> tuple[str, str, str, str]:
    """Headings of `cells`."""
    return "Keras", "int8", "drop", "right on\ntarget" if any(map(_counts, rows)) else "on target"


def cells(row: Row) -> list[str]:
    """Keras and int8 model, drop with half its interval, and the metric or the right answers on the target."""
    scale, drop = _scale(row), ""
    if "drop" in row:
        half = scale.difference_number((row["high"] - row["low"]) / 2, 1, signed=False)
        drop = f"{scale.difference_number(row['drop'], 1)} \u00b1{half}"
    known = [scale.number(row[name]) if row.get(name) is not None else "" for name in ("keras", "int8", "on_target")]
    if _counts(row):
        known[2] = f"{row['on_target'] * row['samples']:.0f}/{row['samples']}"
    return [*known[:2], drop, known[2]]


def legend(rows: Sequence[Row], shown: Collection[str]) -> list[str]:
    """Explains the metric and its drop, as far as their columns are shown."""
    scales = [_scale(row) for row in rows if "unit" in row]
    values, notes = [name for name in ("Keras", "int8") if name in shown], []
    if values:
        on_sim = " (int8 on sim)" if "int8" in values else ""
        units = _listed(scale.symbol for scale in scales)
        notes.append(f"{', '.join(values)}: the metric{units} over the test set{on_sim}")
    if "drop" in shown:
        points = (" points" if scale.is_share else scale.symbol for scale in scales)
        notes.append(f"drop{_listed(points)}: against the float base, 95 % interval")
    return ["; ".join(notes)] if notes else []


def on_target(rows: Sequence[Row], samples: str, target: str, shown: Collection[str]) -> list[str]:
    """Explains what was measured on the target itself, if its column is shown."""
    explained = {"right on target": "right answers of the", "on target": "the metric of the"}
    heading = headings(rows)[3].replace("\n", " ")
    return [f"{heading}: {explained[heading]} {samples} samples that ran on {target}"] if heading in shown else []


def _scale(row: Row) -> Scale:
    return Scale(row["unit"], row["lower_is_better"]) if "unit" in row else Scale()


def _listed(units: Iterable[str]) -> str:
    """Formats the units of several models, such as " in % or dB or no unit"; empty where all are plain numbers."""
    found = {unit.strip() for unit in units}
    known = [*sorted(found - {""}), *(["no unit"] if "" in found else [])]
    return f" in {' or '.join(known)}" if known != ["no unit"] and known else ""


def _counts(row: Row) -> bool:
    """True where each sample that ran on the target is right or wrong."""
    return bool(row.get("counted")) and "samples" in row and row.get("on_target") is not None
