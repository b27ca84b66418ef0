"""`hil doctor`: lists the programs and packages of this machine, and a remedy for each missing one."""

from __future__ import annotations

import json

from hil.harness.commands import arguments


def doctor(as_json: arguments.Json = False) -> None:
    """Say what is installed, what it makes possible, and how to install what is missing."""
    from hil.harness.diagnosis import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings]))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("")
    table.add_column("what", no_wrap=True)
    for heading in ("version", "makes possible", "how to get it"):
        table.add_column(heading, overflow="fold")
    for found in findings:
        mark = "[green]yes[/]" if found.version else "[red]no[/]" if found.needed else "[yellow]no[/]"
        table.add_row(mark, found.name, found.version, found.purpose, "" if found.version else found.remedy)
    Console().print(table)
