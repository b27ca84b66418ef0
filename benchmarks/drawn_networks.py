"""Drawn networks, right and wrong ones: each must end in right figures or in one line.

    python -m benchmarks.drawn_networks --count 1000 --jobs 2

Each drawn model (`tests.support.drawn_networks`) is walked on `sim`.  A fault is a traceback, an error of hil's own, a
reason of several lines, an infrastructure error, or a figure that plain NumPy computes otherwise.  Prints the counts of
ends, each distinct line once, and every fault with its model file; exit 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.drawn_walk import WORK


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shares = [options.count // options.jobs + (n < options.count % options.jobs) for n in range(options.jobs)]
    ends: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as threads:
        parts = [
            threads.submit(_walk, Path(folder) / str(number), share, options.seed * options.jobs + number)
            for number, share in enumerate(shares)
        ]
        for part in parts:
            for found in part.result():
                ends[found["end"]] += 1
                lines[found["line"]] += bool(found["line"])
                if found["fault"]:
                    faults += 1
                    print(f"FAULT: {found['fault']}\n{found['text']}\nleaves {found['leaves']}", flush=True)
    print(f"{sum(ends.values())} networks: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    for line, count in lines.most_common():
        print(f"{count:5} {line}")
    return 1 if faults else 0


def _walk(folder: Path, count: int, seed: int) -> list[dict[str, str]]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", WORK, str(folder), str(count), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = []
        for line in process.stdout:
            found.append(json.loads(line))
            print(f"{seed}: {len(found)} of {count} {found[-1]['end']} {found[-1]['fault']}", file=sys.stderr)
    if process.returncode or len(found) != count:
        found.append({"end": "died", "line": "", "fault": f"exit {process.returncode}", "text": "", "leaves": ""})
    return found


if __name__ == "__main__":
    sys.exit(main())
