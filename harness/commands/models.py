"""`hil models`: lists the models of the models folder with their size and the state of their data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from hil.core.errors import EXIT_USAGE, HilError, InfrastructureError
from hil.harness.commands import arguments


def models(
    folder: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    as_json: arguments.Json = False,
) -> None:
    """List the models of the models folder; a file that cannot be loaded is named, and the exit code is 2."""
    from hil.harness.leaves import leaves_of, unavailable
    from hil.harness.model import discover_loadable
    from hil.harness.pipeline import Pipeline

    pipeline = Pipeline(arguments.open_store(store))
    records: list[dict[str, Any]] = []
    found, failed = discover_loadable(folder)
    for model in found:
        try:
            params, macs = pipeline.size(model)
        except InfrastructureError:
            raise
        except HilError as error:
            failed.append(error)
            continue
        records.append(
            {
                "name": model.name,
                "params": params,
                "macs": macs,
                "techniques": list(leaves_of(model)),
                "file": str(model.path),
                "missing": unavailable(model),
            }
        )
    print(json.dumps(records) if as_json else format_models(records))
    for failure in failed:
        print(f"hil: {failure}", file=sys.stderr)
    if failed:
        raise typer.Exit(EXIT_USAGE)


def format_models(records: Sequence[Mapping[str, Any]]) -> str:
    """Formats a row a model; of one whose data is missing, the way to get it."""
    from hil.harness.text_table import Column, Row, format_table

    columns = [Column("model"), Column("params", number=True), Column("MACs", number=True)]
    rows = [
        Row([r["name"], f"{r['params']:,}", f"{r['macs']:,}", ", ".join(r["techniques"]), r["missing"] or "here"])
        for r in records
    ]
    return format_table([*columns, Column("techniques"), Column("data")], rows)
