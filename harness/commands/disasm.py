"""`hil disasm VELA.tflite`: prints a command stream in readable form."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments, unused_options
from hil.harness.vela.settings import VelaOptions

if TYPE_CHECKING:
    from hil.npu.disassembly.instruction import Instruction
    from hil.npu.disassembly.listing import Listing

PAYLOAD = b"COP1"


@arguments.with_declared
def disasm(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A Vela output, an int8 model (it is compiled), or a driver payload."),
    ],
    operation: Annotated[
        list[int] | None, typer.Option("--operation", min=0, metavar="N", help="Only this operation; may be repeated.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--range", metavar="FIRST-LAST", help="Only these operations, both included.")
    ] = None,
    stream: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only this command stream.")] = None,
    registers: Annotated[
        bool, typer.Option("--registers", help="Also the registers set since the operation before.")
    ] = False,
    vela: VelaOptions = arguments.VELA,
    as_json: arguments.Json = False,
) -> None:
    """Show the operations of a command stream."""
    with arguments.naming(str(model)):
        listings = _read(model, vela)
    if stream is not None:
        listings = [listing for listing in listings if listing.stream == stream]
        _require(listings, f"{model} has no stream {stream}")
    chosen = [(listing, _choose(listing, operation or [], only)) for listing in listings]
    last = max(len(listing.instructions) for listing in listings) - 1
    _require([found for _, found in chosen if found], f"{model} has no such operation", f"it has 0 to {last}")
    if as_json:
        print(json.dumps({"model": str(model), "streams": [_record(*pair) for pair in chosen]}))
    else:
        _show(model, chosen, registers=registers)


def _read(path: Path, vela: VelaOptions) -> list[Listing]:
    from hil.npu.disassembly.listing import list_compiled, list_payload
    from hil.npu.vela_output import is_compiled, read_compiled

    settings, data = vela.settings(), arguments.read_model(path)
    if data[:4] == PAYLOAD or is_compiled(data):
        unused_options.warn_vela(vela, f"{path} is compiled already")
    if data[:4] == PAYLOAD:
        return [list_payload(data)]
    if is_compiled(data):
        return list(list_compiled(read_compiled(data)))
    from hil.core.errors import BadInputError
    from hil.harness.progress import LineProgress
    from hil.harness.vela.compiler import compile_model
    from hil.harness.vela.mapping import stream_names

    with contextlib.closing(LineProgress()) as progress:
        compiled = compile_model(data, settings, name=str(path), say=progress)
    if not is_compiled(compiled.model):
        raise BadInputError(f"Vela placed nothing of {path} on the NPU")
    return list(list_compiled(read_compiled(compiled.model), stream_names(compiled.mapping)))


def _choose(listing: Listing, numbers: list[int], only: str | None) -> list[Instruction]:
    wanted = set(numbers)
    if only is not None:
        first, last = _bounds(only)
        wanted |= set(range(first, min(last + 1, len(listing.instructions))))
    everything = not numbers and only is None
    return [found for found in listing.instructions if everything or found.index in wanted]


_DIGITS = 10
"""Most digits of an operation's number; more are an error."""


def _bounds(text: str) -> tuple[int, int]:
    from hil.core.errors import BadInputError

    first, dash, last = text.partition("-")
    digits = first.isdecimal() and last.isdecimal() and max(len(first), len(last)) < _DIGITS
    if not (dash and digits and int(first) <= int(last)):
        raise BadInputError(f"--range {text!r} is no range", hint="give the first and the last operation, as in 3-12")
    return int(first), int(last)


def _require(found: list[Any], message: str, hint: str = "") -> None:
    from hil.core.errors import BadInputError

    if not found:
        raise BadInputError(message, hint=hint)


def _record(listing: Listing, instructions: Iterable[Instruction]) -> dict[str, Any]:
    from hil.npu.disassembly.instruction import as_record

    return {
        "stream": listing.stream,
        "operator": listing.operator,
        "accelerator": listing.accelerator.name,
        "words": listing.words,
        "regions": [asdict(region) for region in listing.regions],
        "inputs": [asdict(tensor) for tensor in listing.inputs],
        "outputs": [asdict(tensor) for tensor in listing.outputs],
        "operations": [as_record(instruction) for instruction in instructions],
    }


def _show(model: Path, chosen: list[tuple[Listing, list[Instruction]]], *, registers: bool) -> None:
    from hil.harness.text_table import terminal_width
    from hil.npu.disassembly.text import lines

    width = terminal_width()
    texts: list[str] = []
    for listing, instructions in chosen:
        if instructions:
            texts += _header(model, listing, width)
            for instruction in instructions:
                texts += lines(instruction, registers=registers, width=width)
            texts.append("")
    if sys.stdout.isatty():
        _print_coloured(texts)
    else:
        sys.stdout.write("\n".join(texts))


def _header(model: Path, listing: Listing, width: int) -> list[str]:
    from hil.harness.text_table import wrap
    from hil.npu.disassembly.text import address, first_name, fold

    operator = f", operator {listing.operator}" if listing.operator >= 0 else ""
    counted = f"{listing.words:,} words, {len(listing.instructions)} operations"
    texts = wrap(f"{model}: stream {listing.stream}{operator}, {listing.accelerator.name}, {counted}", width)
    texts += [f"  region {region.number}  {region.name:<12} {region.bytes:>9,} bytes" for region in listing.regions]
    for kind, tensors in (("input", listing.inputs), ("output", listing.outputs)):
        for tensor in tensors:
            shape = "x".join(map(str, tensor.shape))
            text = f"{shape:<16} {tensor.dtype:<7} {address(tensor.place):<10} "
            texts += fold(f"  {kind:<9} ", text + first_name(tensor.name), width)
    return [*texts, ""]


_STYLES = {
    "hil.number": "bold",
    "hil.kind": "bold cyan",
    "hil.address": "green",
    "hil.label": "dim",
    "hil.register": "magenta",
}
_COLOURED = (
    r"^ {0,5}(?P<number>\d+) +\d+  (?P<kind>\w+)",
    r"(?P<address>\b(\d|shram):0x[0-9a-f]+)",
    r"^ {16}(?P<label>\w+)",
    r"(?P<register>NPU_SET_\w+)",
)
"""Patterns; each named group is printed in the style of its name."""


def _print_coloured(texts: list[str]) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.theme import Theme

    console = Console(theme=Theme(_STYLES), soft_wrap=True)
    for line in texts:
        text = Text(line)
        for pattern in _COLOURED:
            text.highlight_regex(pattern, style_prefix="hil.")
        console.print(text)
