"""Text report of a walk: a line a leaf, the table of all leaves, the verdict.

summary(leaf)   # "missed: latency 0.1193 ms, limit 0.0800, 0.0393 too much; holds: drop +0.18 points"
"""

from __future__ import annotations

import math

from hil.harness import text_table
from hil.harness.evaluation.limit_check import format_check, format_limits
from hil.harness.model import Scale
from hil.harness.optimize.paths import Node
from hil.harness.text_table import Column, Row
from hil.harness.tree.result import Leaf, LeafStatus, TrainedNode, Walk, speed_figure
from hil.harness.tree.training_report import worse_trainings

HEADINGS = (
    *("int8", "drop", "SQNR", "ms", "NPU\ncycles", "SRAM", "flash", ".tflite", "zip", "gzip", "encoded\nweights"),
    *("zeros", "unique"),
)
"""Column headings of `format_figures`."""
_RANKS = {
    "NPU\ncycles": 1,
    "SRAM": 2,
    "flash": 3,
    "encoded\nweights": 4,
    ".tflite": 5,
    "SQNR": 6,
    "zip": 7,
    "gzip": 8,
    "zeros": 9,
    "unique": 10,
}
"""Ranks of the columns that a narrow terminal does without."""
STYLES = {LeafStatus.MET: "green", LeafStatus.MISSED: "yellow", LeafStatus.MISMATCH: "red", LeafStatus.FAILED: "red"}
FRONT = "◆"
"""Mark of a leaf on the Pareto front."""
_LEGEND = (
    "{metric}; SQNR: dB of the int8 file against its own Keras model; ms and cycles "
    "are {trust}, all else exact; sizes in KiB: SRAM, flash and encoded weights are Vela's, .tflite is the int8 "
    "file as it is, in a zip archive, and gzipped"
)


def summary(leaf: Leaf, *, whole: bool = True) -> str:
    """Summarizes a leaf in a line: status, and by how much it misses limits; `whole` adds the limits that it meets."""
    if leaf.status in (LeafStatus.FAILED, LeafStatus.MISMATCH):
        return f"{leaf.status.value}: {leaf.reason.splitlines()[0]}"
    if not leaf.checks:
        return "met: there are no limits"
    missed = ", ".join(format_check(check) for check in leaf.checks if not check.met)
    held = ", ".join(format_check(check) for check in leaf.checks if check.met)
    if not whole:
        return f"missed: {missed}" if missed else "met"
    return f"missed: {missed}{'; holds: ' if held else ''}{held}" if missed else f"met: {held}"


def format_node(node: Node) -> str:
    """Formats a node: the techniques of its path."""
    return " > ".join(node) or "base"


def format_origin(trained: TrainedNode) -> str:
    """Formats the origin of a node: trained, made (a base may have its weights from a file), or from the store."""
    how = "trained" if trained.node else "made"
    return f"{how} in {trained.seconds:.1f} s" if trained.anew else "from the store"


def format_table(found: Walk) -> str:
    """Formats the table of all leaves in the width of the terminal, coloured on one."""
    columns = [Column("leaf"), Column("status")]
    columns += [Column(heading, number=True, rank=_RANKS.get(heading, 0)) for heading in HEADINGS]
    rows = [
        Row([leaf.name, format_status(found, leaf), *format_figures(leaf, found.scale)], STYLES[leaf.status])
        for leaf in found.leaves
    ]
    return text_table.format_table(columns, rows)


def format_status(found: Walk, leaf: Leaf) -> str:
    """Formats the status of a leaf, with the mark of the Pareto front if it is on it."""
    return f"{leaf.status.value} {FRONT}" if leaf.name in found.front else leaf.status.value


def format_figures(leaf: Leaf, scale: Scale) -> list[str]:
    """Formats the figures of a leaf in the order of `HEADINGS`, empty where one was not measured.

    `scale` is that of the model's metric.
    """
    value, drop = leaf.figure("accuracy"), leaf.figure("accuracy_drop")
    accuracy = ["" if value is None else scale.number(value)]
    accuracy += ["" if drop is None else scale.difference_number(drop, 1)]
    fidelity = _cell(leaf, "sqnr", 1, ".0f")
    time = [_cell(leaf, "latency", 1, ".3f"), _cell(leaf, "npu_cycles", 1, ",.0f")]
    if leaf.figure("npu_latency") is not None:
        time[1] += "*"
    bytes_ = ("sram", "flash", "tflite", "zip", "gzip", "encoded_weights")
    kernels = [_cell(leaf, "zeros", 100, ".1f"), _cell(leaf, "unique", 1, ".0f")]
    return [*accuracy, fidelity, *time, *(_cell(leaf, name, 1 / 1024, ",.1f") for name in bytes_), *kernels]


def _cell(leaf: Leaf, name: str, scale: float, form: str) -> str:
    value = leaf.figure(name)
    return "" if value is None else format(scale * value, form)


def legend(found: Walk) -> list[str]:
    """Explains the columns and marks of the table, a paragraph each."""
    figure = speed_figure(found.leaves)
    trusts = {m.trust.value for leaf in found.leaves for m in leaf.measurements if m.name == figure}
    text = _LEGEND.format(metric=_metric(found), trust=", ".join(sorted(trusts)) or "not measured here")
    partial = any(leaf.figure("npu_latency") is not None for leaf in found.leaves)
    times = (m for leaf in found.leaves for m in leaf.measurements if m.name in ("latency", "npu_latency") and m.note)
    clocks = dict.fromkeys(f"ms are {m.note}" for m in times)
    lines = [text, *clocks, *(["*: operators left to the CPU are not in the cycles"] if partial else [])]
    beaten = f"{FRONT}: nothing here beats it in drop, {_speed(figure)} and encoded weights"
    return [*lines, *([beaten] if found.front else [])]


def _metric(found: Walk) -> str:
    """Explains the columns of the metric."""
    notes = (m.note for leaf in found.leaves for m in leaf.measurements if m.name == "accuracy")
    name = next(notes, "").partition(" ")[0] or "the metric"
    if found.scale.is_share:
        return f"int8: {name} in %; drop: points against the float base"
    of = f"{name} in {found.scale.unit}" if found.scale.unit else name
    return f"int8: {of}{', less is better' if found.scale.lower_is_better else ''}; drop: against the float base"


def _speed(figure: str) -> str:
    """Formats the name of a `speed_figure`."""
    return "latency" if figure == "latency" else "cycles"


def verdict_lines(found: Walk) -> list[str]:
    """Formats the verdict, the mismatches, and the winner's commands, as lines."""
    lines = [f"{'met' if found.verdict.met else 'not met'}: {found.verdict.reason}"]
    for leaf in found.leaves:
        if leaf.status is LeafStatus.MISMATCH:
            lines += [f"  {leaf.name}: {line}" for line in leaf.reason.splitlines()]
    lines += compare_with_pcqat(found)
    lines += [f"  {line}" for line in worse_trainings(found)]
    if found.ended and (found.policy == "best" or not found.verdict.met):
        lines.append(f"ended: {found.ended}")
    if found.not_walked:
        lines.append(f"not walked to: {', '.join(found.not_walked)}")
    return [*lines, *(f"  {command}" for command in (found.verdict.optimize, found.verdict.run) if command)]


def compare_with_pcqat(found: Walk) -> list[str]:
    """Compares each technique for the NPU with `pcqat` of the same settings: shares of encoded weights and cycles."""
    stock = {leaf.settings: leaf for leaf in found.leaves if leaf.technique == "pcqat"}
    speed = speed_figure(found.leaves)
    lines = []
    for leaf in found.leaves:
        shares = [
            f"{share:.2f} of the {text}"
            for name, text in (("encoded_weights", "encoded weights"), (speed, _speed(speed)))
            if leaf.settings in stock and (share := _share(leaf, stock[leaf.settings], name))
        ]
        if leaf.technique.startswith("npu_") and shares:
            lines.append(f"  {leaf.name} against pcqat: {', '.join(shares)}")
    return lines


def _share(leaf: Leaf, other: Leaf, name: str) -> float:
    return (leaf.figure(name) or 0.0) / (other.figure(name) or math.inf)


def layer_notes(found: Walk) -> list[str]:
    """Returns the steps' remarks on layers, each line once."""
    return list(dict.fromkeys(line for leaf in found.leaves for line in leaf.notes))


def format_walk(found: Walk) -> str:
    """Formats a finished walk for a report: a line a leaf, and the verdict."""
    head = f"{found.model} on {found.identity['target']}: {format_limits(found.limits, found.scale)}"
    return "\n".join([head, *(f"  {leaf.name}: {summary(leaf)}" for leaf in found.leaves), *verdict_lines(found)])
