"""`hil fvp`: lists the engines of the FVP, installs Arm's, and writes launchers with Arm's names for other tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hil.harness.commands import arguments

app = typer.Typer(help="The programs that can play the FVP.", no_args_is_help=True)


@app.command()
def engines(as_json: arguments.Json = False) -> None:
    """List the engines: which work here, what they are, and which `auto` takes."""
    from hil.core.errors import UnavailableError
    from hil.fvp.engines.engine import NAMES, find

    rows: list[dict[str, Any]] = []
    for name in NAMES:
        try:
            found = find(name)
            rows.append({"engine": name, "version": found.version, "why": found.why, "command": list(found.command)})
        except UnavailableError as error:
            rows.append({"engine": name, "version": "", "why": str(error), "command": []})
    print(json.dumps(rows) if as_json else format_engines(rows))


def format_engines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats a row an engine: its version, and the reason for the choice or the absence."""
    from rich.text import Text

    from hil.harness.text_table import Column, Row, format_table

    columns = [Column(heading) for heading in ("engine", "version", "why")]
    return format_table(columns, [Row([r["engine"], r["version"] or Text("no", "yellow"), r["why"]]) for r in rows])


@app.command()
def install(
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You accept Arm's end-user licence agreement of the FVP.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="Another archive of Arm's; needs --sha256.")] = None,
    sha256: Annotated[str | None, typer.Option(help="SHA-256 of the archive at --url.")] = None,
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where it is installed.")] = Path("~/FVP_Corstone_SSE-300"),
) -> None:
    """Download Arm's Corstone-300 FVP, verify it, and install it with Arm's installer."""
    import platform
    import sys

    from hil.core.errors import BadInputError
    from hil.fvp.engines.archive import named, pinned
    from hil.fvp.engines.installer import LICENCE_HINT, install
    from hil.harness.progress import LineProgress

    if not accept_licence:
        raise BadInputError("Arm's licence is not accepted, so nothing was fetched", hint=LICENCE_HINT)
    if (url is None) != (sha256 is None):
        raise BadInputError("--url and --sha256 go together", hint="what is fetched is verified, always")
    archive = named(url, sha256) if url and sha256 else pinned(platform.machine(), platform.system())
    line = LineProgress()
    try:
        made = install(
            archive,
            into.expanduser().absolute(),
            lambda done, total: line(f"{archive.name}, MiB", done >> 20, total >> 20),
            lambda text: print(text, file=sys.stderr),
        )
    finally:
        line.close()
    print(made)


@app.command()
def shim(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the launchers; goes on PATH.")],
) -> None:
    """Write launchers with the names of Arm's executables that start the open one."""
    from hil.fvp.engines.shim import write

    for path in write(folder.expanduser().absolute()):
        print(path)
