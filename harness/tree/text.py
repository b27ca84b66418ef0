"""A walk as text: a line a leaf, the table of all, the verdict.

summary(leaf)        # "missed: latency 0.119 ms, 0.019 ms too much; drop +0.2 points"
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hil.harness.model import Budget
from hil.harness.optimize.paths import Node
from hil.harness.tree.result import Leaf, LeafStatus, LimitCheck, Trained, Walk, speed_figure

if TYPE_CHECKING:
    from rich.table import Table

_NAMES = {
    "max_accuracy_drop": "drop",
    "max_latency_ms": "latency",
    "max_sram_bytes": "SRAM",
    "max_flash_bytes": "flash",
    "max_model_bytes": ".tflite",
}
_TABLE_WIDTH = 120
HEADINGS = (
    *("int8", "drop", "ms", "NPU\ncycles", "SRAM", "flash", ".tflite", "zip", "gzip", "encoded\nweights"),
    *("zeros", "unique"),
)
"""What `cells` gives of a leaf."""
STYLES = {LeafStatus.MET: "green", LeafStatus.MISSED: "yellow", LeafStatus.MISMATCH: "red", LeafStatus.FAILED: "red"}
FRONT = "◆"
"""Marks a leaf on the Pareto front."""
_LEGEND = (
    "drop: points against the float base; ms and cycles are {trust}, all else exact; sizes in KiB: SRAM, flash and\n"
    "encoded weights are Vela's, .tflite is the int8 file as it is, in a zip archive, and gzipped"
)


def asked(limits: Budget) -> str:
    """The limits of a walk in a line."""
    finite = {name: float(getattr(limits, name)) for name in _NAMES if math.isfinite(getattr(limits, name))}
    return (
        ", ".join(f"{_NAMES[name]} at most {_value(name, most, signed=False)}" for name, most in finite.items())
        or "no limits"
    )


def summary(leaf: Leaf, *, whole: bool = True) -> str:
    """What became of a leaf, and by how much; `whole` with the limits that hold."""
    if leaf.status in (LeafStatus.FAILED, LeafStatus.MISMATCH):
        return f"{leaf.status.value}: {leaf.reason.splitlines()[0]}"
    if not leaf.checks:
        return "met: there are no limits"
    missed = ", ".join(_missed(check) for check in leaf.checks if not check.met)
    held = ", ".join(f"{_NAMES[check.limit]} {_value(check.limit, check.value)}" for check in leaf.checks if check.met)
    if not whole:
        return f"missed: {missed}" if missed else "met"
    return f"missed: {missed}{'; holds: ' if held else ''}{held}" if missed else f"met: {held}"


def _missed(check: LimitCheck) -> str:
    name = _NAMES[check.limit]
    if check.value is None:
        return f"{name} unknown: {check.note}"
    return f"{name} {_value(check.limit, check.value)}, {_value(check.limit, check.over, signed=False)} too much"


def _value(limit: str, value: float | None, *, signed: bool = True) -> str:
    if value is None or not math.isfinite(value):
        return "unknown"
    if limit == "max_accuracy_drop":
        return f"{100 * value:{'+' if signed else ''}.2f} points"
    if limit == "max_latency_ms":
        return f"{value:.4f} ms"
    return f"{value:,.0f} bytes" if value < 1024 else f"{value / 1024:.1f} KiB"


def step(node: Node) -> str:
    """A node as it is called in lines: the techniques on its way."""
    return " > ".join(node) or "base"


def origin(trained: Trained) -> str:
    """Where a node came from; a base may have its weights from a file."""
    how = "trained" if trained.node else "made"
    return f"{how} in {trained.seconds:.1f} s" if trained.anew else "from the store"


def drawn(found: Walk) -> str:
    """The table of all leaves, wider than a narrow terminal rather than cut off; coloured on a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, _TABLE_WIDTH)
    with console.capture() as capture:
        console.print(_table(found))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _table(found: Walk) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("leaf", no_wrap=True)
    made.add_column("", no_wrap=True)
    for heading in HEADINGS:
        made.add_column(heading, justify="right", no_wrap=True)
    for leaf in found.leaves:
        made.add_row(leaf.name, standing(found, leaf), *cells(leaf), style=STYLES[leaf.status])
    return made


def standing(found: Walk, leaf: Leaf) -> str:
    """The status of a leaf in a table of `found`, with the mark of the front if it is on it."""
    return f"{leaf.status.value} {FRONT}" if leaf.name in found.front else leaf.status.value


def cells(leaf: Leaf) -> list[str]:
    """The figures of a leaf as the table has them, empty where there is none."""
    percent = [_cell(leaf, "accuracy", 100, ".1f"), _cell(leaf, "accuracy_drop", 100, "+.1f")]
    time = [_cell(leaf, "latency", 1, ".3f"), _cell(leaf, "npu_cycles", 1, ",.0f")]
    if leaf.figure("npu_latency") is not None:
        time[1] += "*"
    bytes_ = ("sram", "flash", "tflite", "zip", "gzip", "encoded_weights")
    kernels = [_cell(leaf, "zeros", 100, ".1f"), _cell(leaf, "unique", 1, ".0f")]
    return [*percent, *time, *(_cell(leaf, name, 1 / 1024, ",.1f") for name in bytes_), *kernels]


def _cell(leaf: Leaf, name: str, scale: float, form: str) -> str:
    value = leaf.figure(name)
    return "" if value is None else format(scale * value, form)


def legend(found: Walk) -> list[str]:
    """What the columns of the table stand on, a paragraph each."""
    figure = speed_figure(found.leaves)
    trusts = {m.trust.value for leaf in found.leaves for m in leaf.measurements if m.name == figure}
    text = _LEGEND.format(trust=", ".join(sorted(trusts)) or "not measured here")
    partial = any(leaf.figure("npu_latency") is not None for leaf in found.leaves)
    lines = [text, *(["*: operators left to the CPU are not in the cycles"] if partial else [])]
    beaten = f"{FRONT}: nothing here beats it in drop, {_speed(figure)} and encoded weights"
    return [*lines, *([beaten] if found.front else [])]


def _speed(figure: str) -> str:
    """The name of a `speed_figure` in words."""
    return "latency" if figure == "latency" else "cycles"


def verdict(found: Walk) -> list[str]:
    """The verdict, the reasons of what failed, and the winner's commands."""
    lines = [f"{'met' if found.verdict.met else 'not met'}: {found.verdict.reason}"]
    for leaf in found.leaves:
        if leaf.status is LeafStatus.MISMATCH:
            lines += [f"  {leaf.name}: {line}" for line in leaf.reason.splitlines()]
    lines += against_stock(found)
    if found.not_walked:
        lines.append(f"not walked to: {', '.join(found.not_walked)}")
    return [*lines, *(f"  {command}" for command in (found.verdict.optimize, found.verdict.run) if command)]


def against_stock(found: Walk) -> list[str]:
    """What each technique that knows the NPU buys, as shares of what `pcqat` of the same settings needs."""
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


def notes(found: Walk) -> list[str]:
    """What the steps say of layers, each line once."""
    return list(dict.fromkeys(line for leaf in found.leaves for line in leaf.notes))


def as_text(found: Walk) -> str:
    """A finished walk for a report: a line a leaf, and the verdict."""
    head = f"{found.model} on {found.identity['target']}: {asked(found.limits)}"
    return "\n".join([head, *(f"  {leaf.name}: {summary(leaf)}" for leaf in found.leaves), *verdict(found)])
