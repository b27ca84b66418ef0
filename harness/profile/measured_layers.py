"""Measured time of a model's layers: its command streams run piece by piece on a target, and what the cutting costs.

    found = measured_layers("resnet8.tflite", "serial", streams, run, 204_670)
    [(piece.title, piece.cycles) for piece in found.pieces], found.costs.overlap

Each piece is a job of its own, so it starts anew and overlaps with no other: the pieces take longer than the whole run.
The difference is the costs: starts, which are those of a job without an operation, and the rest, which is the overlap
of copies and first reads with the layer before, and of tables that are loaded again.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hil.core.measurement import Trust
from hil.harness.profile.columns import share
from hil.harness.profile.csv_file import csv_text
from hil.harness.profile.stream_cuts import LayerPiece
from hil.harness.text_table import Column, Row, format_table, terminal_width, wrap
from hil.targets.base import CutRun

FORMAT = "hil-measured-layers-1"


@dataclass(frozen=True)
class MeasuredPiece:
    """A piece with its cycles by repetition."""

    piece: LayerPiece
    repetitions: tuple[int, ...]

    @property
    def title(self) -> str:
        """The layers, joined where they cannot be separated."""
        return " + ".join(self.piece.layers)

    @property
    def cycles(self) -> int:
        """The median."""
        return statistics.median_low(self.repetitions)

    @property
    def spread(self) -> int:
        """Largest minus smallest."""
        return max(self.repetitions) - min(self.repetitions)


@dataclass(frozen=True)
class CuttingCosts:
    """Cycles by which the pieces take longer than the whole: of their starts, and of overlap that is lost."""

    total: int
    starts: int
    extra_starts: int

    @property
    def overlap(self) -> int:
        """Lost overlap, with tables that are loaded again."""
        return self.total - self.starts


@dataclass(frozen=True)
class MeasuredLayers:
    """The pieces of all streams in order, and the same streams uncut; `whole` and `start` are cycles by repetition."""

    name: str
    target: str
    pieces: tuple[MeasuredPiece, ...]
    streams: int
    whole: tuple[int, ...]
    start: tuple[int, ...]
    modelled_whole: int
    clock_hz: float
    trust: Trust
    identity: dict[str, str]

    @property
    def whole_cycles(self) -> int:
        """Median of the whole run."""
        return statistics.median_low(self.whole)

    @property
    def sum_cycles(self) -> int:
        """Cycles of all pieces together."""
        return sum(piece.cycles for piece in self.pieces)

    @property
    def costs(self) -> CuttingCosts:
        """Cycles that the cutting costs."""
        extra = len(self.pieces) - self.streams
        return CuttingCosts(self.sum_cycles - self.whole_cycles, extra * statistics.median_low(self.start), extra)


def measured_layers(
    name: str, target: str, streams: Sequence[Sequence[LayerPiece]], run: CutRun, modelled_whole: int
) -> MeasuredLayers:
    """Joins the plan of the pieces with what was measured of them."""
    pairs = zip((piece for stream in streams for piece in stream), (c for s in run.pieces for c in s), strict=True)
    return MeasuredLayers(
        name,
        target,
        tuple(MeasuredPiece(piece, counts) for piece, counts in pairs),
        len(streams),
        run.whole,
        run.start,
        modelled_whole,
        run.clock_hz,
        run.trust,
        run.identity,
    )


def measured_record(found: MeasuredLayers) -> dict[str, Any]:
    """JSON values; all cycles of the target have `trust`, `modelled_cycles` are the timing model's."""
    costs = found.costs
    return {
        "format": FORMAT,
        "name": found.name,
        "target": found.target,
        "trust": found.trust.value,
        "clock_hz": found.clock_hz,
        "pieces": [_piece_record(piece, found) for piece in found.pieces],
        "sum_cycles": found.sum_cycles,
        "whole": {
            "cycles": found.whole_cycles,
            "ms": _ms(found.whole_cycles, found),
            "repetitions": list(found.whole),
            "modelled_cycles": found.modelled_whole,
        },
        "cutting": {
            "cycles": costs.total,
            "starts_cycles": costs.starts,
            "extra_starts": costs.extra_starts,
            "start_repetitions": list(found.start),
            "overlap_cycles": costs.overlap,
            "tables_loaded_again": sum(piece.piece.reloads for piece in found.pieces),
        },
        "outputs_equal": True,
        "identity": found.identity,
    }


def measured_csv(found: MeasuredLayers) -> str:
    """A line for each piece."""
    rows = [_piece_record(piece, found) for piece in found.pieces]
    return csv_text([{**row, "layers": row["title"], "repetitions": len(row["repetitions"])} for row in rows])


def measured_lines(found: MeasuredLayers, *, width: int | None = None) -> list[str]:
    """The table and what it means, wrapped to the terminal's width."""
    width, costs, total = width or terminal_width(), found.costs, found.sum_cycles
    columns = (
        Column("layer"),
        Column("cycles", number=True),
        Column("share", number=True),
        Column("ms", number=True, rank=1),
        Column("spread", number=True, rank=1),
        Column("model", number=True),
        Column("of it", number=True),
        Column("tables", number=True, rank=2),
    )
    rows = [
        Row(
            (
                piece.title,
                f"{piece.cycles:,}",
                share(piece.cycles, total),
                f"{_ms(piece.cycles, found):.4f}",
                f"{piece.spread:,}",
                f"{piece.piece.modelled_cycles:,}",
                share(piece.cycles, piece.piece.modelled_cycles),
                str(piece.piece.reloads or ""),
            )
        )
        for piece in found.pieces
    ]
    modelled = sum(piece.piece.modelled_cycles for piece in found.pieces)
    whole, spread = found.whole_cycles, max(found.whole) - min(found.whole)
    for title, cycles, model, extra in (
        ("sum of the pieces", total, modelled, ""),
        ("whole run, uncut", whole, found.modelled_whole, f"{spread:,}"),
        ("cutting costs", costs.total, modelled - found.modelled_whole, ""),
    ):
        cells = (title, f"{cycles:,}", share(cycles, total), f"{_ms(cycles, found):.4f}", extra, f"{model:,}", "", "")
        rows.append(Row(cells, style="bold"))
    below = [line for text in _remarks(found) for line in wrap(text, width)]
    title = f"{found.name}: {found.target}, piece by piece, {found.clock_hz / 1e6:g} MHz"
    return [format_table(columns, rows, title=title, width=width), "", *below]


def _remarks(found: MeasuredLayers) -> list[str]:
    costs = found.costs
    runs = f"medians of {len(found.whole)} runs" if len(found.whole) > 1 else "of one run"
    lines = [
        f"cycles are {found.trust.value}, {runs}; model: the timing model's of the same "
        "pieces; outputs of the pieces and of the whole run are equal",
        f"cutting costs {costs.total:,} cycles, {share(costs.total, found.whole_cycles)} of the whole run: "
        f"{costs.starts:,} for {costs.extra_starts} more starts, {costs.overlap:,} for overlap that is lost"
        + (" and tables that are loaded again" if any(piece.piece.reloads for piece in found.pieces) else ""),
    ]
    joined = [piece.title for piece in found.pieces if len(piece.piece.layers) > 1]
    if joined:
        lines.append(
            f"together, because their operations are interleaved or a copy ties them: {'; '.join(joined)}; "
            "nothing is divided among them"
        )
    return lines


def _piece_record(one: MeasuredPiece, found: MeasuredLayers) -> dict[str, Any]:
    return {
        "title": one.title,
        "layers": list(one.piece.layers),
        "operations": one.piece.operations,
        "cycles": one.cycles,
        "ms": _ms(one.cycles, found),
        "spread": one.spread,
        "repetitions": list(one.repetitions),
        "modelled_cycles": one.piece.modelled_cycles,
        "tables_loaded_again": one.piece.reloads,
        "command_bytes": len(one.piece.words),
    }


def _ms(cycles: int, found: MeasuredLayers) -> float:
    return 1e3 * cycles / found.clock_hz
