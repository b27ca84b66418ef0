"""`hil models`: lists the models of the models folder with their size and the state of their data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hil.harness.commands import arguments


def models(
    folder: arguments.ModelsFolder = Path("models"),
    store: arguments.StoreFolder = None,
    as_json: arguments.Json = False,
) -> None:
    """List the models of the models folder."""
    from hil.harness.leaves import leaves_of, unavailable
    from hil.harness.model import discover
    from hil.harness.pipeline import Pipeline

    pipeline = Pipeline(arguments.open_store(store))
    records: list[dict[str, Any]] = []
    for model in discover(folder):
        params, macs = pipeline.size(model)
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
    if as_json:
        print(json.dumps(records))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("model", "params", "MACs", "techniques", "data"):
        table.add_column(heading, justify="right" if heading in ("params", "MACs") else "left")
    for record in records:
        sizes = (f"{record['params']:,}", f"{record['macs']:,}")
        table.add_row(record["name"], *sizes, ", ".join(record["techniques"]), record["missing"] or "here")
    Console().print(table)
