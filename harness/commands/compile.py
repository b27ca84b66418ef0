"""`hil compile INT8.tflite -o OUT.tflite`: compiles a model with Vela and prints its cost."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hil.harness.commands import arguments
from hil.harness.vela.settings import VelaOptions


@arguments.with_declared
def compile_(
    model: Annotated[Path, typer.Argument(metavar="INT8.tflite", help="A fully quantized TFLite model.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.tflite",
            help="Where Vela's output goes; .cc or .h: as a C array; .npz: the weights of the int8 model.",
        ),
    ],
    vela: VelaOptions = arguments.VELA,
    as_json: arguments.Json = False,
) -> None:
    """Compile an int8 model with Vela."""
    from hil.harness.export import FORMATS, export
    from hil.harness.output_file import check_output, write_output
    from hil.harness.progress import LineProgress
    from hil.harness.vela.compiler import compile_model, vela_version

    check_output(output, "-o", FORMATS, [model])
    settings = vela.settings()
    int8 = arguments.read_entry_point(model)
    with contextlib.closing(LineProgress()) as progress:
        compiled = compile_model(int8, settings, name=str(model), mapped=False, say=progress)
    write_output(output, export(output, compiled.model, int8))
    if as_json:
        print(json.dumps({"output": str(output), "vela": vela_version(), **asdict(compiled.summary)}))
    else:
        _show(output, compiled.summary, settings)


def _show(output: Path, summary: Any, settings: Any) -> None:
    from hil.harness.number_format import fixed
    from hil.harness.text_table import Column, Row, format_table

    milliseconds = 1e3 * summary.cycles_total / summary.clock_hz
    rows = (
        ("NPU cycles (Vela's estimate)", f"{summary.cycles_total:,}", "cycles", "modelled"),
        (f"time at {summary.clock_hz / 1e6:g} MHz", fixed([milliseconds])[0], "ms", "modelled"),
        ("SRAM", f"{summary.sram_bytes:,}", "bytes", "exact"),
        (
            "weights and tables in DRAM" if summary.weights_in_dram else "flash",
            f"{summary.flash_bytes:,}",
            "bytes",
            "exact",
        ),
        *([("DRAM in all", f"{summary.dram_bytes:,}", "bytes", "exact")] if summary.dram_bytes else []),
        ("encoded weights", f"{summary.weights_encoded:,}", "bytes", "exact"),
        ("MACs", f"{summary.macs:,}", "", "exact"),
        ("operators on the NPU", str(len(summary.npu_operators)), "", "exact"),
        ("operators on the CPU", str(len(summary.cpu_operators)), ", ".join(summary.cpu_operators), "exact"),
    )
    columns = (Column("figure"), Column("value", number=True), Column("unit"), Column("trust"))
    title = f"{output}: {settings.title}"
    print(format_table(columns, [Row(row) for row in rows], title=title))
