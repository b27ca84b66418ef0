"""Columns and cells of the tables of a model, for the terminal, Markdown and HTML alike.

    first = tables_of(table)[0]
    first.title, first.columns, first.rows

A cell has the mean over seeds and, with several seeds, the standard deviation behind ±.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.harness.model import FineTune
from hil.harness.number_format import plural
from hil.harness.optimize.paths import QUANTIZING
from hil.harness.tables.published import PublishedRow
from hil.harness.tables.seed_figures import ACCURACIES
from hil.harness.tables.seed_run import FAST, FLASH_BOUND, NPUS, npu_name
from hil.harness.tables.summary import SMALLER, LeafRow, ModelTable, Statistic
from hil.harness.text_table import Column, Row
from hil.harness.vela.settings import VelaSettings

STALE = "†"
"""Mark of a leaf whose figures are stale."""
_KIB = 1024


@dataclass(frozen=True)
class NamedTable:
    """A table with its heading."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]


def tables_of(table: ModelTable) -> list[NamedTable]:
    """Returns a model's tables: accuracy and sizes, the chip, published figures, and what differs from these."""
    found = [NamedTable("Accuracy and sizes", *_sizes(table)), NamedTable("On the chip", *_chip(table))]
    if table.published:
        found.append(NamedTable("Published", *_published(table.published)))
        found.append(NamedTable("What differs", *_differences(table)))
    return found


def legend(table: ModelTable) -> list[str]:
    """Explains the figures, a line each."""
    spread = ": mean ± standard deviation" if len(table.seeds) > 1 else ""
    lines = [
        f"{_seeds(table.seeds)}{spread}; {table.base}; made on {'; '.join(table.machines)}",
        *_of_time(table),
        *_of_accuracy(table),
        ".tflite, zip, gzip, encoded weights (Vela's, of ethos-u55-128) and SRAM in KiB, exact; smaller: encoded "
        "weights of ptq by the leaf's; zeros in % of the weights, unique: most distinct weights in a kernel; steps: "
        "training steps after the base",
        f"cycles are modelled, in Shared_Sram with weights in flash; fast: {FAST}, 1 byte a cycle at 500 MHz",
        f"slow: {FLASH_BOUND}, half a byte a cycle at 200 MHz",
    ]
    if any(row.stale for row in table.rows):
        lines.append(f"{STALE}: stale, made of something else than what is here now")
    lines += dict.fromkeys(f"{row.source}: {row.url}" for row in table.published)
    lines += [f"{row.leaf}: of {_seeds(row.seeds)} alone" for row in table.rows if row.seeds != table.seeds]
    return lines + [f"{row.leaf}: {remark}" for row in table.rows for remark in row.remarks]


def _seeds(seeds: Sequence[int]) -> str:
    return f"{plural('seed', len(seeds))} {', '.join(map(str, seeds))}"


def _of_time(table: ModelTable) -> list[str]:
    minutes = f"{table.trained_s / 60:,.0f} min" if table.trained_s >= 60 else f"{table.trained_s:.0f} s"
    text = f"trainings took {minutes} of wall time in all, measured; other work of the machine is in it"
    return [text] if table.trained_s else []


def _of_accuracy(table: ModelTable) -> list[str]:
    if not table.has_accuracy:
        return [
            "no accuracy: the float base is no better than a constant answer; encoded sizes, and cycles of layers that "
            "wait for weights, are those of such weights and no trained network's"
        ]
    unit = "%" if table.scale.is_share else table.scale.unit or "plain numbers"
    return [
        f"accuracy: {table.metric} in {unit} over the test set; float: the base; Keras: the leaf's own Keras model, "
        f"with fake quantization in {', '.join(QUANTIZING)}; int8: on {table.target}, whose outputs equal the "
        "reference kernels' in every element compared",
        "drop: of int8 against float, with the mean of the seeds' paired 95 % intervals over test samples",
    ]


def _sizes(table: ModelTable) -> tuple[list[Column], list[Row]]:
    columns = [Column("leaf"), *(Column(name, number=True, rank=rank) for name, rank in _SIZE_COLUMNS)]
    return columns, [Row(_size_cells(table, row)) for row in table.rows]


_SIZE_COLUMNS = (
    *(("float", 4), ("Keras", 5), ("int8", 0), ("drop", 0), ("interval", 1), (".tflite", 6), ("zip", 8), ("gzip", 7)),
    *(("encoded", 0), ("smaller", 2), ("zeros", 9), ("unique", 10), ("steps", 3)),
)
"""Heading and rank of the columns behind the leaf's."""


def _size_cells(table: ModelTable, row: LeafRow) -> list[str]:
    scale = table.scale
    accuracies = [_cell(row, name, scale.number, scale.factor) for name in ACCURACIES]
    drop = _cell(row, "accuracy_drop", scale.difference_number, scale.factor)
    shown = [*accuracies, drop, _interval(table, row)] if table.has_accuracy else [""] * 5
    sizes = [_cell(row, name, _kib, 1 / _KIB) for name in ("tflite", "zip", "gzip", "encoded_weights")]
    smaller = _cell(row, SMALLER, lambda value: f"{value:.2f}")
    zeros = _cell(row, "zeros", lambda value: f"{100 * value:.0f}", 100)
    unique = _cell(row, "unique", lambda value: f"{value:.0f}")
    return [_name(row), *shown, *sizes, smaller, zeros, unique, f"{row.steps:,}"]


def _chip(table: ModelTable) -> tuple[list[Column], list[Row]]:
    columns = [Column("leaf"), Column("SRAM", number=True, rank=4)]
    columns += [Column(_heading(npu), number=True, rank=rank) for npu, rank in zip(NPUS, (1, 0, 3, 2), strict=True)]
    return columns, [Row([_name(row), _cell(row, "sram", _kib, 1 / _KIB), *_cycles(row)]) for row in table.rows]


def _heading(npu: VelaSettings) -> str:
    return f"{npu.accelerator.removeprefix('ethos-')}\n{'fast flash' if npu.system_config == FAST else 'slow flash'}"


def _cycles(row: LeafRow) -> list[str]:
    found = [row.cycles.get(npu_name(npu)) for npu in NPUS]
    return ["" if one is None else _text(one, lambda value: f"{value:,.0f}", 1.0) for one in found]


def _published(rows: Sequence[PublishedRow]) -> tuple[list[Column], list[Row]]:
    columns = [Column("leaf"), Column("setting"), Column("float", number=True), Column("fake quantized", number=True)]
    columns += [Column("int8", number=True), Column(".tflite", number=True, rank=1)]
    columns += [Column("compressed", number=True, rank=1), Column("network and data", rank=2), Column("source", rank=3)]
    return columns, [Row(_published_cells(row)) for row in rows]


def _published_cells(row: PublishedRow) -> list[str]:
    accuracies = ["" if value is None else f"{value:.2f}" for value in _accuracies(row)]
    sizes = ["" if value is None else _kib(value) for value in (row.tflite, row.compressed)]
    place = f"{row.network} on {row.data}"
    return [row.leaf, row.setting, *accuracies, *sizes, place, row.source]


def _accuracies(row: PublishedRow) -> tuple[float | None, float | None, float | None]:
    return row.float_top1, row.fake_quantized_top1, row.int8_top1


def _differences(table: ModelTable) -> tuple[list[Column], list[Row]]:
    recipe, published = table.model.recipe, table.published
    trainings = {_training(recipe.fine_tune(step)): None for step in ("prune", "cluster", "qat", "pcqat")}
    rows = [
        [
            "network and data",
            "; ".join(dict.fromkeys(f"{row.network} on {row.data}" for row in published)),
            table.caption,
        ],
        ["zeros, clusters", "as in the table", f"{100 * recipe.sparsity:g} % zeros, {recipe.clusters} clusters"],
        ["training", "not given beside the figures", f"{table.base}; a technique: {' or '.join(trainings)}"],
        ["seeds", "not given", f"{len(table.seeds)}"],
        [
            "test",
            "fake-quantized and int8 accuracy on a host",
            "int8 accuracy on the target" if table.has_accuracy else "no accuracy",
        ],
    ]
    return [Column(""), Column("published"), Column("here")], [Row(cells) for cells in rows]


def _training(tune: FineTune) -> str:
    samples = "all" if tune.samples is None else f"{tune.samples:,}"
    return f"{tune.epochs} {plural('epoch', tune.epochs)} of {samples} samples"


def _name(row: LeafRow) -> str:
    return f"{row.leaf} {STALE}" if row.stale else row.leaf


def _interval(table: ModelTable, row: LeafRow) -> str:
    ends = [row.figures.get(name) for name in ("accuracy_drop_low", "accuracy_drop_high")]
    return " to ".join(table.scale.difference_number(end.mean) for end in ends if end is not None)


def _cell(row: LeafRow, name: str, text: Callable[[float], str], factor: float = 1.0) -> str:
    return _text(row.figures[name], text, factor) if name in row.figures else ""


def _text(found: Statistic, text: Callable[[float], str], factor: float) -> str:
    """Formats a mean by `text`; the deviation, times `factor` to the shown unit, has as many digits after the point."""
    mean = text(found.mean)
    if not found.deviation:  # one seed, or the same value for each
        return mean
    digits = len(mean.partition(".")[2])
    return f"{mean} ±{factor * found.deviation:,.{digits}f}"


def _kib(value: float) -> str:
    return f"{value / _KIB:.1f}"
