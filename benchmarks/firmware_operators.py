"""The firmware's CPU kernels against the reference kernels: `python -m benchmarks.firmware_operators --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.progress import track

from tests.support.firmware_operators import table
from tests.support.firmware_operators.outcomes import chosen, measured
from tests.support.operators.case import TYPES


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the chosen cases and prints them; the exit code is 2 if no case has the name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.firmware_operators")
    parser.add_argument("--operator", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--type", action="append", default=[], choices=TYPES)
    parser.add_argument("--cases", type=int, default=6, help="at most so many an operator and type (6)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="put the table into docs/fvp.md")
    options = parser.parse_args(argv)
    cases = list(chosen(options.cases, options.operator, options.type))
    if not cases:
        print("no operator is called so", file=sys.stderr)
        return 2
    cells: dict[tuple[str, str], list[table.Outcome]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        results = track(pool.map(measured, cases), total=len(cases), disable=not sys.stderr.isatty())
        for case, result in zip(cases, results, strict=True):
            cells.setdefault((case.operator, case.dtype), []).append(result)
            if result.kind not in ("equal", "missing"):
                print(f"{case.key}: {result.kind}, {result.elements} elements by {result.largest} {result.detail}")
    print("\n".join(table.rows(cells)))
    if options.write:
        table.write(cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
