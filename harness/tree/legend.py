"""Legend of the table of leaves: the sources and units of its columns, and its marks."""

from __future__ import annotations

from collections.abc import Collection

from hil.harness.number_format import listed
from hil.harness.tree.result import ComparedLeaves, speed_figure

FRONT = "◆"
"""Mark of a leaf on the Pareto front."""
_FILE = {".tflite": "as it is", "zip": "in a zip archive", "gzip": "gzipped"}
_KERNELS = {"zeros": "zeros: % of the weights", "unique": "unique: most distinct weights in a kernel"}


def legend(found: ComparedLeaves, shown: Collection[str]) -> list[str]:
    """Explains the columns whose names are `shown`, and the marks, a paragraph each."""
    columns = [
        *(_metric(found) if "int8" in shown else []),
        *(["SQNR: dB of the int8 file against its own Keras model"] if "SQNR" in shown else []),
        *_trust(found, shown),
        *_sizes(shown),
        *(text for name, text in _KERNELS.items() if name in shown),
    ]
    times = (m for leaf in found.leaves for m in leaf.measurements if m.name in ("latency", "npu_latency") and m.note)
    clocks = dict.fromkeys(f"ms are {m.note}" for m in times) if "ms" in shown else ()
    flash = (m.note for leaf in found.leaves for m in leaf.measurements if m.name == "flash" and m.note)
    partial = "NPU cycles" in shown and any(leaf.figure("npu_latency") is not None for leaf in found.leaves)
    beaten = f"{FRONT}: nothing here beats it in drop, {speed_word(speed_figure(found.leaves))} and encoded weights"
    return [
        *(["; ".join(columns)] if columns else []),
        *clocks,
        *(dict.fromkeys(f"flash: {note}" for note in flash) if "flash" in shown else ()),
        *(["*: operators left to the CPU are not in the cycles"] if partial else []),
        *([beaten] if found.front else []),
    ]


def _metric(found: ComparedLeaves) -> list[str]:
    """Explains the columns of the metric."""
    notes = (m.note for leaf in found.leaves for m in leaf.measurements if m.name == "accuracy")
    name = next(notes, "").partition(" ")[0] or "the metric"
    if found.scale.is_share:
        return [f"int8: {name} in %", "drop: points against the float base"]
    of = f"{name} in {found.scale.unit}" if found.scale.unit else name
    return [f"int8: {of}{', less is better' if found.scale.lower_is_better else ''}", "drop: against the float base"]


def _trust(found: ComparedLeaves, shown: Collection[str]) -> list[str]:
    """Explains the trust of the speed; everything else is counted."""
    names = [word for word, column in (("ms", "ms"), ("cycles", "NPU cycles")) if column in shown]
    figure = speed_figure(found.leaves)
    trusts = {m.trust.value for leaf in found.leaves for m in leaf.measurements if m.name == figure}
    return [f"{listed(names)} are {', '.join(sorted(trusts))}, all else exact"] if names and trusts else []


def _sizes(shown: Collection[str]) -> list[str]:
    """Explains the sizes: those of Vela, and those of the int8 file."""
    vela = [name for name in ("SRAM", "flash", "encoded weights") if name in shown]
    file = [f"{name} {how}" for name, how in _FILE.items() if name in shown]
    whose = [*([f"{listed(vela)} by Vela"] if vela else []), *([f"the int8 file {listed(file)}"] if file else [])]
    return [f"sizes in KiB: {', '.join(whose)}"] if whose else []


def speed_word(figure: str) -> str:
    """Names a `speed_figure` in a sentence."""
    return "latency" if figure == "latency" else "cycles"
