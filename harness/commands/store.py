"""`hil store list` and `hil store prune`: lists and removes artifacts of the store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.harness.store.store import Artifact

app = typer.Typer(help="What the store of artifacts holds, and making room in it.", no_args_is_help=True)


@app.command("list")
def list_(store: arguments.StoreFolder = None, as_json: arguments.Json = False) -> None:
    """List artifacts, the longest unused first."""
    opened = arguments.open_store(store)
    artifacts = sorted(opened.artifacts(), key=lambda artifact: artifact.used)
    if as_json:
        print(json.dumps([_record(artifact) for artifact in artifacts]))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(opened.root), title_justify="left")
    for heading in ("step", "key", "bytes", "made in s", "last used"):
        table.add_column(heading, justify="right" if heading in ("bytes", "made in s") else "left")
    for artifact in artifacts:
        record = _record(artifact)
        used = artifact.used.strftime("%Y-%m-%d %H:%M")
        table.add_row(record["step"], record["key"][:12], f"{record['bytes']:,}", f"{record['seconds']:.1f}", used)
    table.add_section()
    table.add_row("in all", str(len(artifacts)), f"{sum(a.size for a in artifacts):,}", "", "")
    Console(markup=False).print(table)


@app.command()
def prune(
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Remove what was not used for this many days.")
    ] = None,
    step: Annotated[list[str] | None, typer.Option(help="Remove only this kind of artifact; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: arguments.StoreFolder = None,
    as_json: arguments.Json = False,
) -> None:
    """Remove artifacts; a run that needs one makes it again."""
    from hil.core.errors import BadInputError

    if unused_days is None and not step and not everything:
        raise BadInputError("nothing said what to remove", hint="give --unused-days, --step or --all")
    if everything and (step or unused_days is not None):
        raise BadInputError(f"--all and {'--step' if step else '--unused-days'}: one of both")
    opened = arguments.open_store(store)
    known = sorted({artifact.step for artifact in opened.artifacts()})
    for name in step or ():
        if name not in known:
            raise BadInputError(f"--step {name}: the store has no such artifacts", hint=f"it has: {', '.join(known)}")
    before = datetime.now(timezone.utc) - timedelta(days=unused_days or 0)
    doomed = [
        artifact
        for artifact in opened.artifacts()
        if (not step or artifact.step in step) and (unused_days is None or artifact.used <= before)
    ]
    size = sum(artifact.size for artifact in doomed)
    if not dry_run:
        for artifact in doomed:
            opened.remove(artifact)
        opened.tidy()
    if as_json:
        print(json.dumps({"removed": [_record(artifact) for artifact in doomed], "dry_run": dry_run}))
    else:
        print(f"{'would remove' if dry_run else 'removed'} {len(doomed)} artifacts, {size:,} bytes")


def _record(artifact: Artifact) -> dict[str, Any]:
    return {
        "step": artifact.step,
        "key": artifact.key,
        "bytes": artifact.size,
        "seconds": artifact.manifest["seconds"],
        "made": artifact.manifest["made"],
    }
