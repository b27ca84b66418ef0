"""`hil boards`: the boards that are described here, their ports, and their answers."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments, board_health
from hil.harness.vela.settings import NpuOptions

if TYPE_CHECKING:
    from hil.targets.boards.probe import ProbeResult

app = typer.Typer(help="Boards: described, found, probed, virtual.")
app.command()(board_health.health)
app.command()(board_health.check)
Folder = Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where your own boards are described.")]
FOLDER = Path("boards")


@app.callback(invoke_without_command=True)
def list_boards(
    context: typer.Context,
    ask: Annotated[bool, typer.Option("--probe", help="Ask each board that is plugged in what it is.")] = False,
    folder: Folder = FOLDER,
    as_json: arguments.Json = False,
) -> None:
    """List the boards that are described here with the ports that match them, and the ports that none matches."""
    from hil.core.errors import BadInputError

    if context.invoked_subcommand:
        given = {"--probe": ask, "--folder": folder != FOLDER, "--json": as_json}
        if misplaced := [name for name, is_given in given.items() if is_given]:
            raise BadInputError(
                f"{misplaced[0]} stands before {context.invoked_subcommand}", hint="options come after it"
            )
        return
    from hil.targets.board_address import BUILT_IN
    from hil.targets.boards import find_board, names
    from hil.targets.boards.ports import candidates, matching
    from hil.targets.boards.probe import probe_all

    here = candidates()
    rows: list[dict[str, Any]] = []
    boards = []
    for name in names(folder):
        try:
            boards.append(board := find_board(name, folder))
        except BadInputError as error:
            rows.append({"name": name, "trouble": str(error)})
            continue
        ports = [candidate.path for candidate in matching(board, here)]
        named = board.port or (str(board.usb) if board.usb else "")
        about = {key: getattr(board, key) for key in ("name", "title", "protocol")}
        about["accelerator"] = board.npu.accelerator
        rows.append({**about, "port": named, "found": ports, "trouble": _trouble(named, ports)})
    rows += [{"name": name, "title": title, "trouble": ""} for name, title in BUILT_IN.items()]
    if ask:
        answers = probe_all(boards, here)
        for row in rows:
            row["answers"] = [asdict(answer) for answer in answers.get(row["name"], [])]
    taken = {port for row in rows for port in row.get("found", ())}
    others = [str(candidate) for candidate in here if candidate.path not in taken]
    if as_json:
        print(json.dumps({"boards": rows, "ports": others}))
    else:
        print(format_boards(rows, others))


@app.command()
def probe(
    name: Annotated[str, typer.Argument(metavar="BOARD", help="A board, NAME@PORT, or a TOML file.")],
    folder: Folder = FOLDER,
    as_json: arguments.Json = False,
) -> None:
    """Ask one board what it is; nothing is written to it."""
    from hil.core.errors import InfrastructureError
    from hil.targets.boards import find_board
    from hil.targets.boards.ports import find_port
    from hil.targets.boards.probe import probe

    board = find_board(name, folder)
    answer = probe(board, find_port(board))
    if as_json:
        print(json.dumps(asdict(answer)))
    else:
        print(_identity(answer))
    if answer.trouble:
        raise InfrastructureError(f"{board.name}: {answer.trouble}")


@app.command()
@arguments.with_declared
def virtual(
    tcp: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="PORT", help="A TCP port of loopback, 0 for any free one.")
    ] = None,
    pty: Annotated[bool, typer.Option("--pty", help="A pty, which is what it is on without --tcp.")] = False,
    npu: NpuOptions = arguments.NPU,
    elf: Annotated[
        Path | None, typer.Option("--firmware", metavar="ELF", help="Your own, instead of the monitor.")
    ] = None,
    serial_number: Annotated[
        str, typer.Option(metavar="HEX", help="That of the board: 12 digits, which the firmware reads back.")
    ] = "",
) -> None:
    """Play a board on QEMU until Ctrl-C; its port's name is the first line of the output."""
    from hil.core.errors import BadInputError
    from hil.targets.boards.virtual import start
    from hil.targets.firmware.build import DEFAULT_BOARD

    if pty and tcp is not None:
        raise BadInputError("--pty and --tcp: one of both")
    config = npu.npu()
    with contextlib.suppress(KeyboardInterrupt), start(config, tcp, elf, serial_number) as board:
        print(board.url, flush=True)
        name = "BOARD" if elf else DEFAULT_BOARD  # What another firmware calls itself is its description's affair.
        print(f"{config.accelerator}; --target serial --board {name}@{board.url}; Ctrl-C ends it", file=sys.stderr)
        try:
            board.wait()
        finally:
            for text in board.warnings:
                print(text, file=sys.stderr)


def _trouble(named: str, ports: list[str]) -> str:
    if not named:
        return "names no port: NAME@PORT"
    return "" if len(ports) == 1 else "not plugged in" if not ports else "several ports match"


def _identity(answer: ProbeResult) -> str:
    if not answer.board:
        return f"{answer.port}: no board"
    crc = f" (CRC-32 {answer.firmware_crc32})" if answer.firmware_crc32 else ""
    words = [answer.board, f"firmware {answer.firmware}{crc}", answer.accelerator or "no NPU"]
    if answer.cpu_hz:
        words.append(f"CPU {answer.cpu_hz / 1e6:g} MHz, NPU {answer.npu_hz / 1e6:g} MHz")
    if answer.memory:
        words.append(f"{answer.memory >> 10:,} KB free")
    words.append(f"serial number {answer.serial_number}" if answer.serial_number else "reports no serial number")
    return f"{answer.port}: {', '.join(words)}"


def format_boards(rows: list[dict[str, Any]], others: list[str]) -> str:
    """Formats a row a board, and a line a port that no board matches."""
    from rich.text import Text

    from hil.harness.text_table import Column, Row, format_table
    from hil.targets.boards.probe import ProbeResult

    columns = [Column(heading) for heading in ("board", "what", "speaks", "accelerator", "port", "answer")]
    cells = []
    for row in rows:
        port = Text(", ".join(row.get("found", ())) or row.get("port", ""))
        port.append(f"{' ' if port else ''}{row['trouble']}" if row["trouble"] else "", "yellow")
        answers = [ProbeResult(**answer) for answer in row.get("answers", ())]
        identities = "\n".join(answer.trouble or _identity(answer).partition(": ")[2] for answer in answers)
        about = (row.get(key, "") for key in ("title", "protocol", "accelerator"))
        cells.append(Row([row["name"], *about, port, identities]))
    return "\n".join([format_table(columns, cells), *(f"no board's: {other}" for other in others)])
