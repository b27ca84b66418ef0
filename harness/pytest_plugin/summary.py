"""Summary at the end of a run: a table for each model and accelerator, a row a path, and the left-out models.

    path   int8       drop  mismatches  cycles     ms  SRAM  cycles vs ptq
    ptq    91.6  +0.1 ±0.1       0 / 0  59,301  0.119   5.5
    prune  90.6  +1.0 ±0.4       0 / 0  43,385  0.087   5.5          -27 %

Rows are made where a test ran (`row`) and drawn where the terminal is (`render`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hil.core.errors import HilError
from hil.harness.evaluation.cost import clock_of
from hil.harness.evaluation.kernel_weights import kernel_weights
from hil.harness.metrics.accuracy import Accuracy, lines_by_output
from hil.harness.number_format import fixed
from hil.harness.optimize.paths import PATHS
from hil.harness.pytest_plugin import metric_cells
from hil.harness.pytest_plugin.legend import FAILED, is_stand_in, legend
from hil.harness.pytest_plugin.limit_coverage import deployment_name
from hil.harness.pytest_plugin.options import Options
from hil.harness.text_table import Column, Row, format_table, shown_columns, wrap

if TYPE_CHECKING:
    import pytest

    from hil.harness.evaluation.evaluator import Deployment, MeasuredResults

TableRow = dict[str, Any]
BASELINE = "ptq"
METRIC_RANKS = (8, 0, 0, 7)
"""Ranks of the columns of `metric_cells`; in a narrow terminal, columns of high rank are left out first."""
COLUMNS = (
    Column("mismatches", number=True),
    Column("NPU\ncycles", number=True, rank=1),
    Column("ms", number=True),
    Column("SRAM", number=True, rank=3),
    Column("flash", number=True, rank=4),
    Column("encoded\nweights", number=True, rank=5),
    Column("zeros", number=True, rank=9),
    Column("unique", number=True, rank=10),
    Column(f"cycles\nvs {BASELINE}", number=True, rank=2),
    Column(f"weights\nvs {BASELINE}", number=True, rank=6),
)
"""Columns behind those of the metric."""


def header(options: Options) -> list[str]:
    """Target, engine and version, accelerator, memory mode and Vela, for the head of the run."""
    try:
        with contextlib.closing(options.make_target()) as made:
            identity = made.identity()
    except HilError as error:
        identity = {"not usable:": str(error)}
    described = ", ".join(f"{key} {_short(value)}" for key, value in identity.items() if value and key != "target")
    version = importlib.metadata.version("ethos-u-vela")
    npus = [f"hil: {settings.title}, Vela {version}" for settings in options.settings]
    return [f"hil: target {options.target_name} ({described})", *npus]


def _short(value: str) -> str:
    """Shortens a hash to twelve digits."""
    return value[:12] if len(value) == 64 and set(value) <= set("0123456789abcdef") else value


def row(deployment: Deployment, results: MeasuredResults) -> TableRow:
    """A deployment and its `results` so far as JSON, without measurements that no test requested."""
    summary = deployment.compiled.summary
    kernels = kernel_weights(deployment.weights)
    found: TableRow = {
        "name": deployment_name(deployment.model.name, deployment.path, deployment.vela.accelerator),
        "model": deployment.model.name,
        "path": deployment.path,
        "accelerator": deployment.vela.accelerator,
        "target": deployment.target,
        "sram": summary.sram_bytes,
        "flash": summary.flash_bytes,
        "weights_in_dram": summary.weights_in_dram,
        "weights": summary.weights_encoded,
        "cpu_operators": len(summary.cpu_operators),
        **(asdict(kernels) if kernels else {}),
    }
    if (result := results.accuracy) is not None:
        found |= {"metric": result.metric, "int8": result.value, "labelled": result.samples, "counted": result.counted}
        found |= {"unit": result.unit, "lower_is_better": result.lower_is_better}
        found |= {"on_target": None if math.isnan(result.on_target) else result.on_target}
        if isinstance(result, Accuracy):
            found |= {"base": result.reference, "keras": result.keras, "drop": result.drop}
            found |= {"low": result.low, "high": result.high}
        found |= {"base_remark": results.base.remark if results.base else "", "by_output": lines_by_output(result)}
    if (outcome := results.outcome) is not None:
        cycles = next((m for m in outcome.run.measurements if m.name == "npu_cycles"), None)
        found |= {"samples": len(outcome.picked), "sim_samples": outcome.sim_samples}
        found |= {"sim_mismatches": outcome.sim_mismatches, "identity": outcome.run.identity}
        if (whole := next((m for m in outcome.run.measurements if m.name == "inference_ms"), None)) is not None:
            found |= {"ms": whole.value, "trust": whole.trust.value}
        if cycles is not None:
            clock = clock_of(outcome.run, summary, deployment.vela.system_config)
            found |= {"cycles": int(cycles.value), "ms": 1e3 * cycles.value / clock.hz, "trust": cycles.trust.value}
            found |= {"clock": str(clock)}
    if results.parity is not None:
        found |= {"mismatches": results.parity.mismatches, "elements": results.parity.elements}
        found |= {"oracle_stand_in": results.parity.oracle_stand_in}
    return found


def render(rows: Sequence[TableRow], left_out: Mapping[str, str], reporter: pytest.TerminalReporter) -> str:
    """Formats the tables in the width and colours of pytest's terminal."""
    return format_summary(rows, left_out, reporter._tw.fullwidth, reporter._tw.hasmarkup)


def format_summary(rows: Sequence[TableRow], left_out: Mapping[str, str], width: int, colour: bool) -> str:
    """Formats a table for each model and accelerator, times by accelerator, the legend, and the left-out models."""
    parts: list[str] = []
    shown: set[str] = set()
    for of_model in summary_tables(rows):
        for table in of_model.tables:
            parts.append(format_table(table.columns, table.cells, title=table.title, width=width, colour=colour))
            shown = shown.union(shown_columns(table.columns, table.cells, width))
        lines = [line for remark in of_model.remarks for line in wrap(remark, width)]
        parts += ["\n".join(lines)] if lines else []
    if rows:
        parts.append("\n".join(line for note in legend(rows, shown) for line in wrap(note, width)))
    lines = [f"left out: {name}: {reason}" for name, reason in sorted(left_out.items())]
    parts += ["\n".join(line for text in lines for line in wrap(text, width))] if lines else []
    return "\n\n".join(parts)


@dataclass(frozen=True)
class ModelTables:
    """The tables of a model, one an accelerator and one of times by accelerator.

    `remarks` are lines on its float base, and on the metrics of further outputs.
    """

    tables: Sequence[SummaryTable]
    remarks: Sequence[str] = ()


def summary_tables(rows: Sequence[TableRow]) -> Iterator[ModelTables]:
    """Iterates over the models' tables."""
    ordered = sorted(rows, key=_place)  # workers of pytest-xdist report in the order in which they finish
    several = len({row["accelerator"] for row in rows}) > 1
    for model in dict.fromkeys(row["model"] for row in ordered):
        of_model = [row for row in ordered if row["model"] == model]
        groups = {npu: [row for row in of_model if row["accelerator"] == npu] for npu in _accelerators(of_model)}
        titles = {npu: metric_cells.title(f"{model} on {npu}" if several else model, groups[npu]) for npu in groups}
        tables = [_table(titles[npu], group) for npu, group in groups.items()]
        remarks = [f"{model}: {row['base_remark']}" for row in of_model if row.get("base_remark")][:1]
        remarks += [f"{row['path']}: {line}" for row in of_model for line in row.get("by_output", ())]
        of_times = [_by_accelerator(model, groups)] if len(groups) > 1 else []
        yield ModelTables([*tables, *of_times], list(dict.fromkeys(remarks)))


def _place(row: TableRow) -> tuple[str, int]:
    """Place of a row in the tables: model, then path in the order of the tree."""
    return row["model"], list(PATHS).index(row["path"]) if row["path"] in PATHS else len(PATHS)


def _accelerators(rows: Sequence[TableRow]) -> list[str]:
    """The accelerators of rows, the smallest first."""
    names = [name.rpartition("-") for name in {row["accelerator"] for row in rows}]
    return ["".join(name) for name in sorted(names, key=lambda name: (name[0], int(name[2])))]


@dataclass(frozen=True)
class SummaryTable:
    """The table of a model on an accelerator."""

    title: str
    columns: Sequence[Column]
    cells: Sequence[Row]


def _table(title: str, rows: Sequence[TableRow]) -> SummaryTable:
    baseline = next((row for row in rows if row["path"] == BASELINE), None)
    times = _times(rows)
    cells = [
        Row([*_cells(row, times.get(row["path"], "")), *_change(row, baseline)], "red" if row.get("failed") else "")
        for row in rows
    ]
    headings = zip(metric_cells.headings(rows), METRIC_RANKS, strict=True)
    columns = [Column("path"), *(Column(heading, number=True, rank=rank) for heading, rank in headings), *COLUMNS]
    return SummaryTable(title, columns, cells)


def _by_accelerator(model: str, groups: Mapping[str, Sequence[TableRow]]) -> SummaryTable:
    """The milliseconds of each path, a column an accelerator."""
    times = {npu: _times(rows) for npu, rows in groups.items()}
    paths = dict.fromkeys(row["path"] for rows in groups.values() for row in rows)
    columns = [Column("path"), *(Column(npu, number=True) for npu in groups)]
    cells = [Row([path, *(found.get(path, "") for found in times.values())]) for path in paths]
    return SummaryTable(f"{model}: ms by accelerator", columns, cells)


def _times(rows: Sequence[TableRow]) -> dict[str, str]:
    """Milliseconds by path, equally precise."""
    times = {row["path"]: row["ms"] for row in rows if "ms" in row}
    return dict(zip(times, fixed(list(times.values())), strict=True))


def _cells(row: TableRow, ms: str) -> list[str]:
    ran = "mismatches" in row
    mismatches = [str(row[key]) for key in ("mismatches", "sim_mismatches") if ran]
    return [
        f"{row['path']} {FAILED}" if row.get("failed") else row["path"],
        *metric_cells.cells(row),
        " / ".join(mismatches[:1] if is_stand_in(row["target"]) else mismatches),
        (f"{row['cycles']:,}" if "cycles" in row else "") + ("*" if row["cpu_operators"] else ""),
        ms,
        _kib(row["sram"]),
        _kib(row["flash"]),
        _kib(row["weights"]),
        _percent(row.get("zeros")),
        str(row.get("unique", "")),
    ]


def _change(row: TableRow, baseline: TableRow | None) -> list[str]:
    """Cycles and encoded weights against the baseline."""
    if baseline is None or row is baseline:
        return ["", ""]
    known = [key if row.get(key) and baseline.get(key) else None for key in ("cycles", "weights")]
    return [f"{round(100 * (row[key] / baseline[key] - 1)):+d} %" if key else "" for key in known]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _kib(size: int) -> str:
    return f"{size / 1024:.1f}"
