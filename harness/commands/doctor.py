"""`hil doctor`: lists the targets, programs and packages of this machine, and a remedy for what cannot be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.harness.diagnosis import Finding
    from hil.harness.text_table import Row

TARGET = "target "
"""Beginning of the name of a finding on a target."""


def doctor(as_json: arguments.Json = False) -> None:
    """Say which targets are ready, what is installed, and how to get what is missing."""
    from hil.harness.diagnosis import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings]))
    else:
        print(format_findings(findings))


def format_findings(findings: Sequence[Finding]) -> str:
    """Formats a line a target, then what is missing, then what is installed."""
    from rich.text import Text

    from hil.harness.text_table import Column, Row, format_table

    targets = [found for found in findings if found.name.startswith(TARGET)]
    others = [found for found in findings if found not in targets]
    tables = {
        ("target", "state", "engine, or what to do"): [_readiness(found) for found in targets],
        ("missing", "would make possible", "how to get it"): [
            Row([Text(found.name, _style(found)), found.purpose, found.remedy]) for found in others if not found.version
        ],
        ("installed", "version", "makes possible"): [
            Row([found.name, found.version, found.purpose]) for found in others if found.version
        ],
    }
    return "\n\n".join(format_table([*map(Column, heads)], rows) for heads, rows in tables.items() if rows)


def _readiness(found: Finding) -> Row:
    from rich.text import Text

    from hil.harness.text_table import Row

    state = Text("ready" if found.version else "not ready", "green" if found.version else _style(found))
    return Row([found.name.removeprefix(TARGET), state, found.version or found.remedy])


def _style(found: Finding) -> str:
    """The colour of what cannot be used."""
    return "red" if found.needed else "yellow"
