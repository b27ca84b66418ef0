"""`hil firmware build` and `flash`: builds the monitor firmware for a board, and writes it onto the board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.targets.firmware.build import FirmwareImage

app = typer.Typer(help="The monitor firmware that a board runs.", no_args_is_help=True)


@app.command()
def build(
    board: Annotated[
        str, typer.Option(metavar="BOARD", help="A described board, its TOML file, or a port's header.")
    ] = "mps3_an547",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where the ELF goes.")] = None,
    compiler: Annotated[str | None, typer.Option(metavar="gcc|zig", help="Which one; the first that is here.")] = None,
    baud: Annotated[int | None, typer.Option(min=1, help="The serial line's bits a second; the board's own.")] = None,
    cpu: Annotated[str | None, typer.Option(metavar="CPU", help="Such as cortex-m33; the board's own.")] = None,
    as_json: arguments.Json = False,
) -> None:
    """Build the firmware, or find it built, and say how large it is."""
    from hil.harness.output_file import check_output, write_output

    if output is not None:
        check_output(output, "-o", (".elf", ".axf", ""))
    built = _build(board, compiler, baud, cpu)
    elf = built.elf
    if output is not None:
        write_output(output, elf.read_bytes())
        elf = output
    if as_json:
        print(json.dumps({**built.__dict__, "elf": str(elf)}))
        return
    print(f"{elf}\n{built.board}, {built.compiler}")
    print(
        f"text {built.text:,}  data {built.data:,}  bss {built.bss:,} bytes\nsha256 {built.sha256}\ncrc32 {built.crc32}"
    )


@app.command()
def flash(
    board: Annotated[str, typer.Option(metavar="BOARD", help="A board, NAME@PORT, a TOML file, or place:NAME.")],
    elf: Annotated[
        Path | None, typer.Argument(metavar="ELF", help="The firmware; built for the board without.")
    ] = None,
    unidentified: Annotated[
        bool, typer.Option("--unidentified", help="Flash a board that does not say what it is, such as a blank one.")
    ] = False,
    as_json: arguments.Json = False,
) -> None:
    """Write the firmware onto a board that says that it is the right one, and ask it again afterwards."""
    import sys

    from hil.core.errors import BadInputError
    from hil.targets.board_address import reach
    from hil.targets.boards.firmware import build_for
    from hil.targets.boards.flasher import flash

    with reach(board) as access:
        if access.is_virtual:
            raise BadInputError(f"{board} starts with its firmware", hint="hil boards virtual --firmware ELF")
        file = elf or build_for(access.board).elf
        flashed = flash(access, file, unidentified=unidentified, say=lambda line: print(line, file=sys.stderr))
    before = flashed.before.firmware if flashed.before else ""
    if as_json:
        record = {"board": flashed.after.board, "before": before, "after": flashed.after.firmware}
        print(json.dumps({**record, "elf": str(file), "seconds": flashed.seconds}))
        return
    print(f"{flashed.after.board}: {before or 'unidentified'} -> {flashed.after.firmware}, {flashed.seconds:.1f} s")


def _build(board: str, compiler: str | None, baud: int | None, cpu: str | None) -> FirmwareImage:
    from hil.targets.board_address import VIRTUAL
    from hil.targets.boards import find_board
    from hil.targets.boards.firmware import build_for
    from hil.targets.firmware.build import DEFAULT_BOARD
    from hil.targets.firmware.build import build as build_port
    from hil.targets.firmware.compilers import DEFAULT_CPU

    if board == VIRTUAL or Path(board).suffix == ".h":
        port = DEFAULT_BOARD if board == VIRTUAL else board
        return build_port(port, compiler, baud=baud, cpu=cpu or DEFAULT_CPU)
    return build_for(find_board(board), compiler, baud, cpu)
