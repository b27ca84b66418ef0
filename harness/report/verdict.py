"""Verdict of a report in one word and in one sentence.

verdict, sentence = verdict_of(...)   # "worse", "5 figures of 2 deployments are worse than main, most of all ..."
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hil.harness.comparison.comparison import Outcome
from hil.harness.number_format import plural
from hil.harness.report.content import Failure, Finding, Night

GOOD, WORSE, FAILED, NOT_RUN, UNKNOWN, EMPTY = "good", "worse", "failed", "not run", "unknown", "empty"
_WORSE = (Outcome.WORSE.value, Outcome.MISSING.value)
_OPEN = (Outcome.UNKNOWN.value, Outcome.NOT_CONFIRMED.value, Outcome.NOT_COMPARABLE.value)


@dataclass(frozen=True)
class Counts:
    """Numbers of a run: its deployments, and its tests by outcome; `is_finished`: it came to its end."""

    deployments: int
    passed: int
    failed: int
    is_finished: bool


def verdict_of(
    findings: Sequence[Finding], failures: Sequence[Failure], counts: Counts, nights: Sequence[Night], baseline: str
) -> tuple[str, str]:
    """Returns verdict and sentence; `baseline` is empty where nothing was compared."""
    worse = [one for one in findings if one.outcome in _WORSE]
    not_run = [one for one in findings if one.outcome == Outcome.NOT_RUN.value]
    unknown = [one for one in findings if one.outcome in _OPEN]
    better = [one for one in findings if one.outcome == Outcome.BETTER.value]
    broken = [one for one in failures if one.is_infrastructure]
    own = {one.deployment for one in failures if not one.is_infrastructure}
    has_tests = counts.passed + counts.failed > 0  # `hil tree` and `hil run` have none
    failed = bool(own) and (counts.failed > 0 or not has_tests)
    word = WORSE if worse else FAILED if failed else NOT_RUN if not_run or broken or not counts.is_finished else ""
    word = word or (UNKNOWN if unknown else GOOD if counts.deployments or has_tests else EMPTY)
    parts = [_worse(worse, nights, baseline)] if worse else []
    parts += [f"{_number(better, 'figure')} better"] if better else []
    parts += [f"{_number(unknown, 'figure')} without a verdict"] if unknown else []
    parts += [f"{_number(not_run, 'figure')} not run"] if not_run else []
    parts += [] if counts.is_finished else ["the run did not finish"]
    tests = f"{counts.failed} of {counts.passed + counts.failed} tests failed"
    parts += [f"{tests}{', by the infrastructure alone' if not failed else ''}"] if counts.failed else []
    parts += [f"{_number(own, 'deployment')} failed"] if failed and not has_tests else []
    if not worse:
        parts.insert(0, _nothing(counts, baseline))
    return word, f"{'; '.join(parts)}."


def _nothing(counts: Counts, baseline: str) -> str:
    against = f"no figure is worse than in {baseline}" if baseline else "there is no earlier run to compare with"
    return f"{_number(range(counts.deployments), 'deployment')} ran; {against}"


def _worse(worse: Sequence[Finding], nights: Sequence[Night], baseline: str) -> str:
    """The figures that are worse, the largest change, and the night since which the oldest of them is."""
    deployments = {(one.series.deployment, one.series.target) for one in worse}
    verb = "is" if len(worse) == 1 else "are"
    missing = [one for one in worse if one.outcome == Outcome.MISSING.value]
    what = "worse" if not missing else "missing" if len(missing) == len(worse) else "worse or missing"
    text = f"{_number(worse, 'figure')} of {_number(deployments, 'deployment')} {verb} {what}"
    text += f" than in {baseline}" if what == "worse" else f" against {baseline}"
    largest = max(worse, key=lambda one: abs(one.relative or 0.0))
    if largest.relative:
        of = largest.series
        text += f", most of all {of.figure} of {of.deployment} on {of.target} ({100 * largest.relative:+.1f} %)"
    known = [one.since for one in worse if one.since is not None]
    return text + (f", since {nights[min(known)].started:%Y-%m-%d}" if known else "")


def _number(found: Collection[object], noun: str) -> str:
    return f"{len(found)} {plural(noun, len(found))}"
