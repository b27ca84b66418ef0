"""Every cell of the table of layers in docs/techniques.md: each technique on a tiny network of each row.

python -m benchmarks.layer_table                     # an hour on two cores; exit code 1 if a cell is wrong
python -m benchmarks.layer_table --row Conv1D --leaf pcqat
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hil.harness.optimize.paths import PATHS
from tests.support.layer_table import broken, table, walk


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the cells of the table of layers.")
    parser.add_argument("--row", action="append", default=[], help="rows that contain this text (default: all)")
    parser.add_argument("--leaf", action="append", choices=list(PATHS), help="default: all")
    options = parser.parse_args()
    wrong = 0
    for name, cells in table().items():
        if options.row and not any(text in name for text in options.row):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = walk(Path(folder), name)
            found = {leaf: broken(made, leaf, cells[leaf]) for leaf in options.leaf or PATHS}
        wrong += sum(bool(text) for text in found.values())
        print(f"{name}: {sum(not text for text in found.values())} of {len(found)} cells right", flush=True)
        for leaf, text in found.items():
            if text:
                print(f"  {leaf} ({cells[leaf]}): {text}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
