"""Runs many cases, on all processors that are asked for.

    for run in run_all(pairs, jobs=2):           # pairs of (case, setting)
        print(run.case.key, run.setting, run.outcome.kind)

Each job is a process of its own, with a warm Vela and a warm oracle as its children.  It is handed the key of a case
and all its settings, so that the oracle runs once a case.  Leaving the loop, by Ctrl-C too, ends them.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.support.operators.case import Case
from tests.support.operators.families import all_cases
from tests.support.operators.outcome import Outcome, outcome, prepare
from tests.support.operators.settings import Setting


@dataclass(frozen=True)
class Run:
    """The outcome of `case` under `setting`."""

    case: Case
    setting: Setting
    outcome: Outcome


def run_all(pairs: Iterable[tuple[Case, Setting]], jobs: int = 1) -> Iterator[Run]:
    """Runs each pair; in this process if `jobs` is 1.  Runs of a case come together, cases in any order."""
    work: dict[str, list[Setting]] = {}
    for case, setting in pairs:
        work.setdefault(case.key, []).append(setting)
    if jobs == 1:
        for item in work.items():
            yield from _runs(*item, _run_case(item))
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _ignore_interrupts) as pool:
        waiting = [pool.submit(_keyed, item) for item in work.items()]
        try:
            for done in as_completed(waiting):
                key, outcomes = done.result()
                yield from _runs(key, work[key], outcomes)
        finally:
            pool.shutdown(cancel_futures=True)


def _runs(key: str, settings: list[Setting], outcomes: list[Outcome]) -> Iterator[Run]:
    for setting, result in zip(settings, outcomes, strict=True):
        yield Run(all_cases()[key], setting, result)


def _keyed(item: tuple[str, list[Setting]]) -> tuple[str, list[Outcome]]:
    return item[0], _run_case(item)


def _run_case(item: tuple[str, list[Setting]]) -> list[Outcome]:
    key, settings = item
    case = all_cases()[key]
    prepared = prepare(case)
    return [outcome(case, prepared, setting) for setting in settings]


def _ignore_interrupts() -> None:
    """Ctrl-C goes to all processes of the terminal; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
