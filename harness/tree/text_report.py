"""Text report of a walk: a line a leaf, the table of all leaves, the verdict.

summary(leaf)   # "missed: latency 0.1193 ms, limit 0.0800, 0.0393 too much; holds: drop +0.18 points"
"""

from __future__ import annotations

import math

from hil.harness import text_table
from hil.harness.evaluation.limit_check import format_check, format_limits
from hil.harness.model import Scale
from hil.harness.number_format import fixed
from hil.harness.optimize.paths import Node
from hil.harness.text_table import Column, Row
from hil.harness.tree.legend import FRONT, speed_word
from hil.harness.tree.result import ComparedLeaves, Leaf, LeafStatus, TrainedNode, Walk, speed_figure
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


def leaf_table(found: ComparedLeaves) -> tuple[list[Column], list[Row]]:
    """Columns and rows of the table of all leaves."""
    columns = [Column("leaf"), Column("status")]
    columns += [Column(heading, number=True, rank=_RANKS.get(heading, 0)) for heading in HEADINGS]
    rows = [
        Row([leaf.name, format_status(found, leaf), *cells], STYLES[leaf.status])
        for leaf, cells in zip(found.leaves, format_figures(found), strict=True)
    ]
    return columns, rows


def format_table(found: Walk) -> str:
    """Formats the table of all leaves in the width of the terminal, coloured on one."""
    return text_table.format_table(*leaf_table(found))


def format_status(found: ComparedLeaves, leaf: Leaf) -> str:
    """Formats the status of a leaf, with the mark of the Pareto front if it is on it."""
    return f"{leaf.status.value} {FRONT}" if leaf.name in found.front else leaf.status.value


def format_figures(found: ComparedLeaves) -> list[list[str]]:
    """Formats the figures of each leaf in the order of `HEADINGS`, empty where one was not measured."""
    latencies = {leaf.name: ms for leaf in found.leaves if (ms := leaf.figure("latency")) is not None}
    times = dict(zip(latencies, fixed(list(latencies.values())), strict=True))
    return [_figures(leaf, found.scale, times.get(leaf.name, "")) for leaf in found.leaves]


def _figures(leaf: Leaf, scale: Scale, ms: str) -> list[str]:
    """Formats the figures of a leaf; `scale` is that of the model's metric."""
    value, drop = leaf.figure("accuracy"), leaf.figure("accuracy_drop")
    accuracy = ["" if value is None else scale.number(value)]
    accuracy += ["" if drop is None else scale.difference_number(drop, 1)]
    fidelity = _cell(leaf, "sqnr", 1, ".0f")
    cycles = _cell(leaf, "npu_cycles", 1, ",.0f") + ("" if leaf.figure("npu_latency") is None else "*")
    bytes_ = ("sram", "flash", "tflite", "zip", "gzip", "encoded_weights")
    kernels = [_cell(leaf, "zeros", 100, ".1f"), _cell(leaf, "unique", 1, ".0f")]
    return [*accuracy, fidelity, ms, cycles, *(_cell(leaf, name, 1 / 1024, ",.1f") for name in bytes_), *kernels]


def _cell(leaf: Leaf, name: str, scale: float, form: str) -> str:
    value = leaf.figure(name)
    return "" if value is None else format(scale * value, form)


def verdict_lines(found: Walk) -> list[str]:
    """Formats the verdict, the mismatches, and the winner's commands, as lines."""
    lines = [f"{'met' if found.verdict.met else 'not met'}: {found.verdict.reason}"]
    for leaf in found.leaves:
        if leaf.status is LeafStatus.MISMATCH:
            lines += [f"  {leaf.name}: {line}" for line in leaf.reason.splitlines()]
    lines += [f"  {found.base.remark}"] if found.base and found.base.remark else []
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
            for name, text in (("encoded_weights", "encoded weights"), (speed, speed_word(speed)))
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
