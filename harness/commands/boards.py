"""`hil boards`: which boards are described here, and which of them answer."""

from __future__ import annotations

import typer

app = typer.Typer(help="Boards: described, found, probed, virtual.", no_args_is_help=True)
