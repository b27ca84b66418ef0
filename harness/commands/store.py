"""`hil store list` and `hil store prune`: lists and removes artifacts of the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.harness.store.store import Artifact

SHARED = "(shared)"
"""Row of the artifacts that serve all techniques of a model: data, metric, size of the network."""

app = typer.Typer(help="What the store of artifacts holds, and making room in it.", no_args_is_help=True)


@app.command("list")
def list_(store: arguments.StoreFolder = None, as_json: arguments.Json = False) -> None:
    """List the artifacts' sizes by model and technique; with --json each artifact, the longest unused first."""
    opened = arguments.open_store(store)
    artifacts = sorted(opened.artifacts(), key=lambda artifact: artifact.used)
    if as_json:
        print(json.dumps([_record(artifact) for artifact in artifacts]))
        return
    print(format_artifacts(str(opened.root), artifacts))


def format_artifacts(title: str, artifacts: Sequence[Artifact]) -> str:
    """Formats a row for each model and technique with the sums of its artifacts, and the sum of all."""
    from hil.harness.text_table import Column, Row, format_table

    columns = [Column("model"), Column("technique"), Column("artifacts", number=True, rank=2)]
    columns += [Column("size", number=True), Column("made in s", number=True, rank=3), Column("last used", rank=1)]
    rows = [Row(_sums(*group, found)) for group, found in sorted(_groups(artifacts).items(), key=_place)]
    table = format_table(columns, rows, title=title)
    return f"{table}\nin all {_counted(artifacts)}"


def _counted(artifacts: Sequence[Artifact]) -> str:
    """Number and size of artifacts."""
    from hil.harness.number_format import data_size, plural

    counted = f"{len(artifacts):,} {plural('artifact', len(artifacts))}"
    return f"{counted}, {data_size(sum(artifact.size for artifact in artifacts))}"


def _groups(artifacts: Iterable[Artifact]) -> dict[tuple[str, str], list[Artifact]]:
    """Artifacts by model and technique; what serves all of a model's techniques, such as data, is `SHARED`."""
    found: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in artifacts:
        origin = artifact.origin
        found.setdefault((origin.model or "unknown", origin.technique or SHARED), []).append(artifact)
    return found


def _place(group: tuple[tuple[str, str], list[Artifact]]) -> tuple[str, int, str]:
    """Place of a group in the list: by model, then in the order of the deployment tree."""
    from hil.harness.optimize.paths import PATHS

    (model, technique), _ = group
    return model, list(PATHS).index(technique) if technique in PATHS else -1, technique


def _sums(model: str, technique: str, artifacts: Sequence[Artifact]) -> list[str]:
    from hil.harness.number_format import data_size

    size = sum(artifact.size for artifact in artifacts)
    seconds = sum(artifact.manifest["seconds"] for artifact in artifacts)
    used = max(artifact.used for artifact in artifacts)
    return [model, technique, f"{len(artifacts):,}", data_size(size), f"{seconds:,.1f}", f"{used:%Y-%m-%d}"]


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
    if not dry_run:
        for artifact in doomed:
            opened.remove(artifact)
        opened.tidy()
    if as_json:
        print(json.dumps({"removed": [_record(artifact) for artifact in doomed], "dry_run": dry_run}))
    else:
        print(f"{'would remove' if dry_run else 'removed'} {_counted(doomed)}")


def _record(artifact: Artifact) -> dict[str, Any]:
    return {
        "step": artifact.step,
        **asdict(artifact.origin),
        "key": artifact.key,
        "bytes": artifact.size,
        "seconds": artifact.manifest["seconds"],
        "made": artifact.manifest["made"],
    }
