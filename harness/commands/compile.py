"""`hil compile INT8.tflite -o OUT.tflite`: compiles a model with Vela and prints its cost."""

from __future__ import annotations

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
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.tflite", help="Where Vela's output goes.")],
    vela: VelaOptions = arguments.VELA,
    as_json: arguments.Json = False,
) -> None:
    """Compile an int8 model with Vela."""
    from hil.harness.output_file import check_output, write_output
    from hil.harness.vela.compiler import compile_model, vela_version

    check_output(output, "-o")
    settings = vela.settings()
    compiled = compile_model(arguments.read_model(model), settings, name=str(model))
    write_output(output, compiled.model)
    if as_json:
        print(json.dumps({"output": str(output), "vela": vela_version(), **asdict(compiled.summary)}))
    else:
        _show(output, compiled.summary, settings)


def _show(output: Path, summary: Any, settings: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{output}: {settings.title}", title_justify="left")
    for heading in ("figure", "value", "unit", "trust"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    milliseconds = 1e3 * summary.cycles_total / summary.clock_hz
    table.add_row("NPU cycles (Vela's estimate)", f"{summary.cycles_total:,}", "cycles", "modelled")
    table.add_row(f"time at {summary.clock_hz / 1e6:g} MHz", f"{milliseconds:.3f}", "ms", "modelled")
    table.add_row("SRAM", f"{summary.sram_bytes:,}", "bytes", "exact")
    table.add_row("flash", f"{summary.flash_bytes:,}", "bytes", "exact")
    if summary.dram_bytes:
        table.add_row("DRAM", f"{summary.dram_bytes:,}", "bytes", "exact")
    table.add_row("encoded weights", f"{summary.weights_encoded:,}", "bytes", "exact")
    table.add_row("MACs", f"{summary.macs:,}", "", "exact")
    table.add_row("operators on the NPU", str(len(summary.npu_operators)), "", "exact")
    table.add_row("operators on the CPU", ", ".join(summary.cpu_operators) or "0", "", "exact")
    Console(markup=False).print(table)
