"""Tables of a sweep: a line for each row as it is done, and all rows by latency with the Pareto front marked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hil.harness.number_format import fixed
from hil.harness.profile.csv_file import csv_text
from hil.harness.profile.modelled_cost import ModelledCost
from hil.harness.profile.sweep import SweepRow, front, row_record
from hil.npu.timing.error_table import error_range, points_of

MARK = "*"
TEXTS = ("", "accelerator", "memory mode", "system configuration", "Vela option")
HEADINGS = (*TEXTS, "cycles", "ms", "SRAM", "flash", "DRAM", "CPU")
"""Headings of the columns; those of `TEXTS` hold no numbers."""


def progress_line(row: SweepRow, done: int, total: int) -> str:
    """A line for a row that is done."""
    found = f"{row.cost.cycles:,} cycles, {fixed([row.cost.ms])[0]} ms" if row.cost else f"{row.outcome}"
    return f"[{done}/{total}] {', '.join(name for name in _short_names(row) if name)}: {found}"


def by_latency(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Rows from the fastest to the slowest, those without a cost last."""
    return sorted(rows, key=lambda row: (row.cost is None, row.cost.ms if row.cost else 0.0, row.place))


def cells(row: SweepRow, best: frozenset[int]) -> list[str]:
    """Cells under `HEADINGS`; sizes in KiB."""
    settings = row.settings
    names = [
        MARK * (row.place in best),
        settings.accelerator,
        settings.memory_mode,
        settings.system_config,
        row.options,
    ]
    return [*names, *(_figures(row.cost) if row.cost else ["", "", "", "", "", ""])]


def sweep_lines(name: str, rows: Sequence[SweepRow], width: int | None = None) -> list[str]:
    """Heading, table and legend."""
    from hil.harness.text_table import Column, Row, format_table, terminal_width, wrap

    width = width or terminal_width()
    best = front(rows)
    columns = [
        *(Column(heading) for heading in ("accelerator", "memory", "system", "opti-\nmise")),
        *(Column(heading, number=True) for heading in ("ms", "SRAM", "flash,\nDRAM")),
        *(Column(heading, number=True, rank=1) for heading in ("cycles", "CPU")),
    ]
    shown = [
        Row(_short_cells(row, row.cost, row.place in best), "bold" if row.place in best else "")
        for row in by_latency(rows)
        if row.cost
    ]
    table = format_table(columns, shown, width=width, title=f"{name}: {len(rows)} settings, the fastest first")
    return [table, "", *(line for text in remarks(rows) for line in wrap(text, width))]


def remarks(rows: Sequence[SweepRow]) -> list[str]:
    """Legend, trust by accelerator, and the settings that could not be compiled."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.cost is None:
            reasons.setdefault(str(row.outcome), []).append(row.settings.title)
    return [
        f"{MARK} on the Pareto front of latency, SRAM, and flash with DRAM; KiB, exact by Vela{_cpu_legend(rows)}",
        *_trust(rows),
        *(f"not compiled: {', '.join(titles)}: {reason}" for reason, titles in reasons.items()),
    ]


def _cpu_legend(rows: Sequence[SweepRow]) -> str:
    return "; CPU: operators on it" if any(row.cost and row.cost.cpu_operators for row in rows) else ""


def _trust(rows: Sequence[SweepRow]) -> list[str]:
    """A line for each known error of the cycles: the accelerators, and the memories in which it was found."""
    known: dict[str, dict[str, None]] = {}
    for settings in (row.settings for row in rows):
        points = points_of(settings.accelerator, settings.memory_mode, settings.system_config)
        text = ", never compared with the FVP"
        if points:
            text = f": {error_range(points)} in {points[0].memory_mode} with {points[0].system_config}"
        known.setdefault(text, {})[settings.accelerator] = None
    return [f"cycles of {', '.join(accelerators)}: modelled{text}" for text, accelerators in known.items()]


def sweep_csv(rows: Sequence[SweepRow]) -> str:
    """CSV of all rows that have a cost."""
    best = front(rows)
    records = [row_record(row, row.place in best) for row in by_latency(rows) if row.cost]
    return csv_text([{**record, "vela_options": " ".join(record["vela_options"])} for record in records])


def _figures(cost: ModelledCost) -> list[str]:
    sizes = [f"{size / 1024:,.1f}" for size in (cost.sram_bytes, cost.flash_bytes)]
    dram = f"{cost.dram_bytes / 1024:,.1f}" if cost.dram_bytes else ""
    return [f"{cost.cycles:,}", fixed([cost.ms])[0], *sizes, dram, str(cost.cpu_operators or "")]


def _short_cells(row: SweepRow, cost: ModelledCost, on_front: bool) -> list[str]:
    """Cells for a terminal, flash and DRAM as one."""
    return [
        *_short_names(row),
        fixed([cost.ms])[0] + (MARK if on_front else " "),
        *(f"{size / 1024:,.1f}" for size in (cost.sram_bytes, cost.flash_bytes + cost.dram_bytes)),
        f"{cost.cycles:,}",
        str(cost.cpu_operators or ""),
    ]


def _short_names(row: SweepRow) -> tuple[str, str, str, str]:
    """Names of a setting without the parts that all of them have."""
    settings = row.settings
    return (
        settings.accelerator.removeprefix("ethos-"),
        settings.memory_mode.removesuffix("_Sram").replace("_Sram_", "_"),
        re.sub(r"^Ethos_U\d+_", "", settings.system_config),
        row.options.replace("--optimise ", "").replace("Performance", "Perf"),
    )
