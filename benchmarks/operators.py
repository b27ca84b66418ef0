"""The conformance suite of single operators: `python -m benchmarks.operators --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from rich.progress import track

from tests.support.operators import cells, table
from tests.support.operators.case import TYPES
from tests.support.operators.case_runs import Run, run_all
from tests.support.operators.cells import Cells
from tests.support.operators.families import all_cases
from tests.support.operators.settings import ACCELERATORS, ALL_SETTINGS, SETTINGS, Pair, fast, full

_TELL_EVERY = 1000
"""Runs between two lines of progress, where there is no terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the chosen cases; returns the exit code: 1 for a difference or a cell that is worse, 2 for wrong use."""
    options = _options(argv)
    quick = [pair for pair in fast(tuple(all_cases().values())) if _wanted(pair, options)]
    pairs = quick
    if not options.fast:
        whole = full(tuple(all_cases().values()), options.settings)
        pairs = list(dict.fromkeys([*(pair for pair in whole if _wanted(pair, options)), *quick]))
    if not pairs:
        print("no case is called so", file=sys.stderr)
        return 2
    try:
        runs = list(_shown(run_all(pairs, options.jobs), len(pairs)))
    except KeyboardInterrupt:
        print("interrupted: nothing is kept", file=sys.stderr)
        return 130
    in_quick = set(quick)
    parts = {"fast": cells.count(run for run in runs if (run.case, run.setting) in in_quick)}
    if not options.fast:
        parts["full"] = cells.count(runs)
    if options.write:
        _write(parts, options)
        return 0
    if options.check:
        return _check(parts["fast" if options.fast else "full"], options)
    return int(any(run.outcome.kind == "differs" for run in runs))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.operators", description="Runs the conformance suite.")
    parser.add_argument("--operator", action="append", help="TFLite's name, such as CONV_2D; may be given again")
    parser.add_argument("--type", action="append", dest="dtype", choices=TYPES)
    parser.add_argument("--accelerator", action="append", choices=ACCELERATORS)
    parser.add_argument("--case", help="a part of the case's name")
    parser.add_argument("--fast", action="store_true", help="a few cases a cell, under one setting each")
    settings = (
        f"of memory mode x compiler, by turns, for each case and accelerator (default {SETTINGS} of {ALL_SETTINGS})"
    )
    parser.add_argument("--settings", type=int, default=SETTINGS, help=settings)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: processors)")
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--write", action="store_true", help="keep what comes of it in expected.json and the docs")
    outcome.add_argument("--check", action="store_true", help="end with 1 if a cell is worse than expected.json")
    options = parser.parse_args(argv)
    if (options.write or options.check) and (options.case or options.settings != SETTINGS):
        parser.error("only whole cells can be kept or checked: leave out --case and --settings")
    if options.write and options.fast:
        parser.error("--write runs everything: leave out --fast")
    return options


def _wanted(pair: Pair, options: argparse.Namespace) -> bool:
    case, setting = pair
    named = options.case is None or options.case in case.name
    return named and _in_cells(case.operator, case.dtype, setting.accelerator, options)


def _in_cells(operator: str, dtype: str, accelerator: str, options: argparse.Namespace) -> bool:
    chosen = ((operator, options.operator), (dtype, options.dtype), (accelerator, options.accelerator))
    return all(not names or name in names for name, names in chosen)


def _write(parts: dict[str, Cells], options: argparse.Namespace) -> None:
    """Writes the cells; those that did not run stay unchanged."""
    whole: dict[str, Cells] = {}
    for part in ("full", "fast"):
        others = {name: cell for name, cell in cells.read(part).items() if not _in_cells(*name.split(), options)}
        whole[part] = dict(sorted((others | parts[part]).items()))
    cells.write(whole)
    table.PAGE.write_text(table.page(whole["full"]), encoding="utf-8")


def _check(found: Cells, options: argparse.Namespace) -> int:
    expected = cells.read("fast" if options.fast else "full")
    worse = cells.compare(found, {name: cell for name, cell in expected.items() if _in_cells(*name.split(), options)})
    print("\n".join(worse) if worse else f"{len(found)} cells, none worse than expected")
    return int(bool(worse))


def _shown(runs: Iterator[Run], total: int) -> Iterator[Run]:
    """Shows progress (a bar on a terminal, a line every thousand runs elsewhere) and prints differences."""
    terminal = sys.stderr.isatty()
    for number, run in enumerate(track(runs, "conformance", total) if terminal else runs, 1):
        if run.outcome.kind in ("differs", "crashed"):
            place = f"{run.setting.accelerator} {run.setting.mode} {run.setting.compiler}"
            found = run.outcome.detail or f"{run.outcome.elements} elements by at most {run.outcome.largest}"
            print(f"{run.outcome.kind}: {run.case.key} on {place}: {found}", flush=True)
        if not terminal and number % _TELL_EVERY == 0:
            print(f"{number:,} of {total:,} runs", file=sys.stderr, flush=True)
        yield run


if __name__ == "__main__":
    sys.exit(main())
