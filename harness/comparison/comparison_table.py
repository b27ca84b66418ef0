"""A comparison as text for a terminal, and as JSON.

    deployment   figure       before   after  change      %  verdict
    digits-pqat  latency ms    0.119   0.131  +0.012  +10.1  worse

Shown are the figures with a gate that changed, or have no verdict; of what is the same, the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hil.harness.comparison.comparison import Comparison, FigureComparison, Outcome
from hil.harness.comparison.recipe_changes import recipe_changes
from hil.harness.text_table import Column, Row, format_table, wrap

_COLUMNS = (
    Column("deployment"),
    Column("figure"),
    Column("before", number=True),
    Column("after", number=True),
    Column("change", number=True),
    Column("%", number=True, rank=1),
    Column("verdict"),
)
_ORDER = (
    *(Outcome.WORSE, Outcome.MISSING, Outcome.NOT_RUN, Outcome.NOT_CONFIRMED, Outcome.UNKNOWN),
    *(Outcome.NOT_COMPARABLE, Outcome.BETTER, Outcome.NEW, Outcome.SAME),
)
_STYLES = {Outcome.WORSE: "red", Outcome.MISSING: "red", Outcome.NOT_RUN: "yellow", Outcome.UNKNOWN: "yellow"}
_HEXADECIMAL = frozenset("0123456789abcdef")
_DIGITS = 8
"""Digits of a hash that are shown."""
_LONGEST = 60
"""Characters of an identity's value that are shown; a recipe is longer."""


def format_comparison(
    found: Comparison, run: str, baseline: str, *, width: int | None = None, colour: bool | None = None
) -> str:
    """Formats the verdict, the figures in the order of their weight, and what differs between the two runs."""
    head, *remarks = comparison_lines(found, run, baseline)
    columns, rows = comparison_rows(found)
    table = [format_table(columns, rows, width=width, colour=colour)] if rows else []
    return "\n".join([*wrap(head, width), *table, *(line for text in remarks for line in wrap(text, width))])


def comparison_rows(found: Comparison) -> tuple[Sequence[Column], list[Row]]:
    """Returns the figures with a gate that changed or have no verdict, as columns and rows, the gravest first."""
    return _COLUMNS, [
        Row(_cells(one), _STYLES.get(one.outcome, "") if one.fails or one.is_open else "") for one in _shown(found)
    ]


def comparison_lines(found: Comparison, run: str, baseline: str) -> list[str]:
    """Returns the verdict in a line, and lines on what has no verdict, has no gate, or differs between the two runs."""
    return [_verdict(found, run, baseline), *_reasons(_shown(found)), *_without_gate(found), *_changes(found)]


def _shown(found: Comparison) -> list[FigureComparison]:
    return sorted(filter(_is_shown, found.figures), key=lambda one: _ORDER.index(one.outcome))


def format_figure(one: FigureComparison) -> str:
    """Formats a figure in a line: `worse: 4,096 -> 4,100 bytes`."""
    before, after = (format_number(value, one.unit) for value in (one.before, one.after))
    return f"{one.outcome.value}: {before} -> {after} {one.unit}".replace("  ", " ")


def comparison_json(found: Comparison, run: str, baseline: str, *, strict: bool) -> dict[str, Any]:
    """Returns the comparison as JSON; `docs/nightly.md` names its fields."""
    return {
        "run": run,
        "baseline": baseline,
        "exit_code": found.exit_code(strict=strict),
        "figures": [_record(one) for one in found.figures],
        "changes": {name: {key: list(pair) for key, pair in fields.items()} for name, fields in found.changes.items()},
    }


def _record(one: FigureComparison) -> dict[str, Any]:
    judged = one.judgement
    return {
        "deployment": one.deployment,
        "target": one.target,
        "figure": one.figure,
        "verdict": one.outcome.value,
        "fails": one.fails,
        "before": one.before,
        "after": one.after,
        "unit": one.unit,
        "trust": one.trust,
        "gate": None if one.gate is None else asdict(one.gate),
        "change": None if judged is None else judged.change,
        "rule": "" if judged is None else judged.rule,
        "more_samples": 0 if judged is None else judged.more_samples,
        "differs": {field: list(values) for field, values in one.differs.items()},
        "reason": one.reason,
    }


def _is_shown(one: FigureComparison) -> bool:
    if one.gate is None or one.outcome is not Outcome.SAME:
        return one.gate is not None
    return one.judgement is not None and one.judgement.change != 0


def _without_gate(found: Comparison) -> list[str]:
    """A line on the figures without a gate that changed."""
    changed = {one.figure: None for one in found.figures if one.gate is None and _has_changed(one)}
    return [f"changed without a gate: {', '.join(changed)} (--json has the values)"] if changed else []


def _has_changed(one: FigureComparison) -> bool:
    return one.outcome in (Outcome.WORSE, Outcome.BETTER)


def _verdict(found: Comparison, run: str, baseline: str) -> str:
    gated = [one for one in found.figures if one.gate is not None]
    counts = {outcome: sum(one.outcome is outcome for one in gated) for outcome in _ORDER}
    told = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    return f"{run} against {baseline}: {told or 'no figure has a gate'}"


def _cells(one: FigureComparison) -> list[str]:
    judged = one.judgement
    change = "" if judged is None else format_number(judged.change, one.unit, "+")
    percent = "" if judged is None or not -10 < judged.relative < 10 else f"{100 * judged.relative:+.1f}"
    figure = f"{one.figure} {one.unit}" if one.unit in ("ms", "dB") else one.figure
    values = (format_number(value, one.unit) for value in (one.before, one.after))
    return [one.deployment, figure, *values, change, percent, one.outcome.value]


def format_number(value: float | None, unit: str, sign: str = "") -> str:
    """Formats a figure in its unit: bytes and cycles whole, others with four digits."""
    if value is None:
        return ""
    if unit in ("bytes", "cycles", "elements", "values") or float(value).is_integer():
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.4g}"


def _reasons(figures: Sequence[FigureComparison]) -> list[str]:
    """A line for each reason for which figures have no verdict, with their deployments."""
    found: dict[str, dict[str, None]] = {}
    for one in figures:
        if text := _reason(one):
            found.setdefault(text, {})[one.deployment] = None
    return [f"{text} ({', '.join(names)})" for text, names in found.items()]


def _reason(one: FigureComparison) -> str:
    if one.outcome is Outcome.NOT_COMPARABLE:
        return f"not comparable: {'; '.join(format_change(key, values) for key, values in one.differs.items())}"
    if one.outcome is Outcome.UNKNOWN and one.judgement is not None:
        return f"{one.figure} unknown: {one.judgement.rule}"
    figure = f"{one.figure} " if one.outcome in (Outcome.WORSE, Outcome.NOT_CONFIRMED) else ""
    return f"{figure}{one.outcome.value}: {one.reason}" if one.reason else ""


def _changes(found: Comparison) -> list[str]:
    """A line for each set of changes that no reason has named, with the deployments that have it."""
    named = {(one.deployment, tuple(one.differs)) for one in found.figures}
    names: dict[str, list[str]] = {}
    for deployment, fields in found.changes.items():
        if (deployment, tuple(fields)) in named:
            continue
        text = "; ".join(format_change(key, values) for key, values in fields.items())
        names.setdefault(text, []).append(deployment)
    return [f"changed: {text} ({', '.join(of)})" for text, of in names.items()]


def format_change(field: str, values: tuple[str, str]) -> str:
    """Formats a field that differs: `vela 5.1.0 -> 5.2.0`, settings of a recipe one by one, hashes cut short."""
    if field == "recipe" and all(values):
        return ", ".join(map(str, recipe_changes(*values)))
    before, after = (value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..." for value in values)
    if len(values[0]) == len(values[1]) and set("".join(values)) <= _HEXADECIMAL:
        before, after = before[:_DIGITS], after[:_DIGITS]
    return f"{field} {before or 'none'} -> {after or 'none'}"
