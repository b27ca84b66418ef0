"""The command: `python -m benchmarks.operators --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from rich.progress import track

from benchmarks.operators import cells, table
from benchmarks.operators.case import Case
from benchmarks.operators.families import all_cases
from benchmarks.operators.run import Run, run_all
from benchmarks.operators.settings import ACCELERATORS, Setting, fast, settings_of

FAST_PER_CELL = 2
ALL_SETTINGS = 12

Pair = tuple[Case, Setting]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is asked for; gives the exit code."""
    options = _parser().parse_args(argv)
    chosen = list(_chosen(options))
    quick = [pair for pair in fast(list(all_cases().values()), FAST_PER_CELL) if _wanted(options, *pair)]
    pairs = quick if options.fast else list(dict.fromkeys([*_full(chosen, options), *quick]))
    if not pairs:
        print("no case is called so", file=sys.stderr)
        return 2
    runs = list(_shown(run_all(pairs, options.jobs), len(pairs)))
    in_quick = set(quick)
    quick_cells = cells.count(run for run in runs if (run.case, run.setting) in in_quick)
    full_cells = cells.count(runs)
    if options.write:
        cells.write({"full": full_cells, "fast": quick_cells})
        table.PAGE.write_text(table.page(full_cells), encoding="utf-8")
    if options.check:
        expected = cells.read("fast" if options.fast else "full")
        worse = cells.compare(quick_cells if options.fast else full_cells, expected)
        print("\n".join(worse))
        return int(bool(worse))
    return int(any(run.outcome.kind == "differs" for run in runs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.operators", description="Runs the conformance suite.")
    parser.add_argument("--operator", action="append", help="TFLite's name, such as CONV_2D; may be given again")
    parser.add_argument("--type", action="append", dest="dtype", help="int8, uint8, int16 or int32")
    parser.add_argument("--accelerator", action="append", choices=ACCELERATORS)
    parser.add_argument("--case", help="a part of the case's name")
    parser.add_argument("--fast", action="store_true", help=f"{FAST_PER_CELL} cases a cell, one setting each")
    parser.add_argument(
        "--settings", type=int, default=ALL_SETTINGS, help="of memory mode x compiler, for each case (default: all 12)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: processors)")
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--write", action="store_true", help="keep the outcome in expected.json and the docs")
    outcome.add_argument("--check", action="store_true", help="end with 1 if a cell is worse than expected.json")
    return parser


def _wanted(options: argparse.Namespace, case: Case, setting: Setting | None = None) -> bool:
    return (
        (not options.operator or case.operator in options.operator)
        and (not options.dtype or case.dtype in options.dtype)
        and (not options.case or options.case in case.name)
        and (not options.accelerator or setting is None or setting.accelerator in options.accelerator)
    )


def _chosen(options: argparse.Namespace) -> Iterator[Case]:
    return (case for case in all_cases().values() if _wanted(options, case))


def _full(chosen: Sequence[Case], options: argparse.Namespace) -> Iterator[Pair]:
    for case in chosen:
        for name in options.accelerator or ACCELERATORS:
            yield from ((case, setting) for setting in settings_of(case, name, options.settings))


def _shown(runs: Iterator[Run], total: int) -> Iterator[Run]:
    """Tells of progress and of what differs."""
    for run in track(runs, "conformance", total, disable=not sys.stderr.isatty()):
        if run.outcome.kind in ("differs", "crashed"):
            place = f"{run.setting.accelerator} {run.setting.mode} {run.setting.compiler}"
            found = run.outcome.detail or f"{run.outcome.elements} elements by at most {run.outcome.largest}"
            print(f"{run.outcome.kind}: {run.case.key} on {place}: {found}", flush=True)
        yield run


if __name__ == "__main__":
    sys.exit(main())
