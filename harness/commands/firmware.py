"""`hil firmware build`: the monitor firmware for a board, as an ELF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hil.harness.commands import arguments

app = typer.Typer(help="The monitor firmware that a board runs.", no_args_is_help=True)


@app.command()
def build(
    board: Annotated[str, typer.Option(metavar="BOARD", help="A port's name, or its header.")] = "mps3_an547",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where the ELF goes.")] = None,
    compiler: Annotated[str | None, typer.Option(metavar="gcc|zig", help="Which one; the first that is here.")] = None,
    as_json: arguments.Json = False,
) -> None:
    """Build the firmware, or find it built, and say how large it is."""
    from hil.npu.errors import InfrastructureError
    from hil.targets.firmware import build as building

    built = building.build(board, compiler)
    elf = built.elf
    if output is not None:
        try:
            output.write_bytes(elf.read_bytes())
        except OSError as error:
            raise InfrastructureError(f"{output} cannot be written: {error.strerror}") from None
        elf = output
    if as_json:
        print(json.dumps({**built.__dict__, "elf": str(elf)}))
        return
    print(f"{elf}\n{built.board}, {built.compiler}")
    print(f"text {built.text:,}  data {built.data:,}  bss {built.bss:,} bytes\nsha256 {built.sha256}")
