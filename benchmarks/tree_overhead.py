"""Cost of a walk beside its work, and when there is nothing left to do.

    python -m benchmarks.tree_overhead [--model fashion_cnn] [-- --target host ...]

The first walk starts with an empty store.  Its work is what the manifests there say: trainings, conversions, Vela,
Keras predictions, runs on `host` and `sim`, and TensorFlow's import (in the first training).  The second walk finds
everything, and only measures: it quantizes test sets, compares outputs, packs archives.  What that costs a leaf follows
from a third walk, to one leaf.  The rest is overhead: the process, hashing, order, view.  All are `hil tree --policy
all`, a process each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hil.harness.store.store import Store

INSIDE = ("data", "sensitivity")
"""Steps inside another step, whose time includes theirs."""


def walk(model: str, store: Path, options: Sequence[str]) -> tuple[float, dict[str, Any]]:
    """Wall time of a walk in seconds, and its JSON result."""
    command = [sys.executable, "-m", "hil.harness.cli", "tree", model, "--policy", "all", "--store", str(store)]
    started = time.perf_counter()
    done = subprocess.run([*command, "--json", *options], stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    return seconds, json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="fashion_cnn")
    parser.add_argument("options", nargs="*", help="further options of hil tree, behind --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        first, record = walk(arguments.model, store, arguments.options)
        made = [artifact for artifact in Store(store).artifacts() if artifact.step not in INSIDE]
        work = sum(float(artifact.manifest["seconds"]) for artifact in made)
        second, again = walk(arguments.model, store, arguments.options)
        one, _ = walk(arguments.model, store, [*arguments.options, "--technique", again["leaves"][0]["leaf"]])
    if trained := [node for node in again["trained"] if node["anew"]]:
        sys.exit(f"the second walk trained {len(trained)} nodes")
    print(f"{arguments.model}: {len(record['leaves'])} leaves, {len(record['trained'])} nodes (measured, seconds)")
    leaves = len(record["leaves"])
    measuring = leaves * (second - one) / (leaves - 1)
    rest = first - work - measuring
    print(f"first walk   {first:8.1f}   of which work {work:.1f}, measuring {measuring:.1f}")
    print(f"             {rest:8.1f}   overhead = {rest / first:.1%}")
    print(f"second walk  {second:8.1f}")
    print(f"to one leaf  {one:8.1f}")


if __name__ == "__main__":
    main()
