"""Every cell of the table of layers in docs/techniques.md: each technique on a tiny network of each row.

python -m benchmarks.layer_table                     # an hour on two cores; exit code 1 if a cell is wrong
python -m benchmarks.layer_table --row Conv1D --leaf pcqat

TensorFlow ends the process on some layers, so the cells are made in one of their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from hil.core.errors import WorkerDiedError
from hil.core.worker import Worker
from hil.harness.optimize.paths import PATHS
from tests.support.layer_table import Walk, broken, crashes, table, walk


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the cells of the table of layers.")
    parser.add_argument("--row", action="append", default=[], help="rows that contain this text (default: all)")
    parser.add_argument("--leaf", action="append", choices=list(PATHS), help="default: all")
    options = parser.parse_args()
    worker = Worker("benchmarks.layer_table:cell_in_child", {"PYTHONPATH": str(Path(__file__).parents[1])})
    wrong = 0
    for name, cells in table().items():
        if options.row and not any(text in name for text in options.row):
            continue
        found = {leaf: _cell(worker, name, leaf, cells[leaf]) for leaf in options.leaf or PATHS}
        wrong += sum(bool(text) for text in found.values())
        print(f"{name}: {sum(not text for text in found.values())} of {len(found)} cells right", flush=True)
        for leaf, text in found.items():
            if text:
                print(f"  {leaf} ({cells[leaf]}): {text}", flush=True)
    return 1 if wrong else 0


def _cell(worker: Worker, row: str, leaf: str, cell: str) -> str:
    """Returns how a leaf breaks what its cell says; empty if it does not."""
    try:
        answer, _ = worker.request({"row": row, "leaf": leaf, "cell": cell}, again=False)
    except WorkerDiedError as death:
        return "" if crashes(cell) else f"its process ended ({death.returncode}): {death.log[-300:]}"
    return str(answer["broken"])


def cell_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler: makes one cell; those of a row share the steps before their last."""
    return {"broken": broken(_walk(header["row"]), header["leaf"], header["cell"])}, []


@lru_cache(maxsize=1)
def _walk(row: str) -> Walk:
    return walk(Path(tempfile.mkdtemp()), row)


if __name__ == "__main__":
    sys.exit(main())
