"""`hil models`: lists the models of the models folder with their size and the state of their data."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
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
    """Formats a row a model; below the table their techniques, and for data that is missing the way to get it."""
    from hil.harness.text_table import Column, Row, format_table, wrap

    columns = [Column("model"), Column("params", number=True), Column("MACs", number=True), Column("data")]
    rows, taken, lacking = [], defaultdict(list), defaultdict(list)
    for record in records:
        name, missing = record["name"], record["missing"]
        rows.append(Row([name, f"{record['params']:,}", f"{record['macs']:,}", "missing" if missing else "here"]))
        taken[", ".join(record["techniques"])].append(name)
        if missing:
            lacking[missing].append(name)
    below = [f"{', '.join(names)}: {why}" for why, names in lacking.items()]
    for techniques, names in taken.items():
        of = f" of {', '.join(names)}" if len(taken) > 1 else ""
        below.append(f"techniques{of}: {techniques}")
    lines = [line for text in below for line in wrap(text)]
    return "\n".join([format_table(columns, rows), *([""] if lines else []), *lines])
