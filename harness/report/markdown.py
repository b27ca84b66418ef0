"""A report as Markdown for a chat message or a pull request: GitHub's flavour, of bounded length.

    print(markdown(content))

It has the verdict, the gravest findings with their causes, failures with the first operator that differs, and boards
that are quarantined.  What was recorded is escaped: it is text and calls nobody by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.harness.comparison.comparison import Outcome
from hil.harness.comparison.comparison_table import format_number
from hil.harness.report.content import BoardHealth, Content, Failure, Finding
from hil.harness.report.log_text import first_line
from hil.harness.text_table import Column, Row, escape_markdown, format_markdown

MOST_FINDINGS = 25
MOST_FAILURES = 10
_LONGEST = 160
"""Characters of a cell."""
_ORDER = (
    *(Outcome.WORSE, Outcome.MISSING, Outcome.NOT_RUN, Outcome.NOT_CONFIRMED, Outcome.UNKNOWN),
    *(Outcome.NOT_COMPARABLE, Outcome.BETTER, Outcome.NEW, Outcome.SAME),
)


def markdown(content: Content) -> str:
    """Returns the verdict and what it rests on; ends with a newline."""
    parts = [f"### {_cell(content.verdict)}: {escape_markdown(content.sentence)}"]
    parts += [_findings(content)] if content.findings else []
    parts += [_failures(content.failures)] if content.failures else []
    parts += list(map(_board, (board for board in content.boards if board.state != "ok")))
    parts += [_origin(content)] if content.run is not None else []
    return "\n\n".join(parts) + "\n"


def _findings(content: Content) -> str:
    ordered = sorted(content.findings, key=_weight)
    columns = [Column("verdict"), Column("deployment"), Column("target"), Column("figure")]
    columns += [Column("before", number=True), Column("after", number=True), Column("%", number=True)]
    columns += [Column("since"), Column("cause")]
    table = format_markdown(columns, [Row(list(_cells(content, one))) for one in ordered[:MOST_FINDINGS]])
    return table + _more(len(ordered) - MOST_FINDINGS, "figures")


def _weight(finding: Finding) -> tuple[int, float]:
    """Weight for sorting: the gravest verdict first, then the largest change."""
    return [one.value for one in _ORDER].index(finding.outcome), -abs(finding.relative or 0.0)


def _cells(content: Content, one: Finding) -> Iterator[str]:
    of = one.series
    place = [of.target, of.board]
    yield one.outcome
    yield _short(of.deployment)
    yield _short(" ".join(filter(None, place)))
    yield _short(f"{of.figure} {of.unit}" if of.unit in ("ms", "dB") else of.figure)
    yield format_number(one.before, of.unit)
    yield format_number(one.after, of.unit)
    yield "" if one.relative is None else f"{100 * one.relative:+.1f}"
    yield "" if one.since is None else f"{content.runs[one.since].started:%Y-%m-%d}"
    yield _short("; ".join(one.cause) or one.reason)


def _failures(failures: Sequence[Failure]) -> str:
    lines = [_failure(one) for one in failures[:MOST_FAILURES]]
    return "\n".join(lines) + _more(len(failures) - MOST_FAILURES, "failures")


def _failure(one: Failure) -> str:
    what = one.test or one.deployment
    text = f"- {_cell(what)}: {_cell(one.kind)}: {_cell(first_line(one.message))}"
    return text + (f"; first operator that differs: {_cell(one.first_operator)}" if one.first_operator else "")


def _board(board: BoardHealth) -> str:
    return f"board {_cell(board.name)}: {_cell(board.state)}: {_cell(board.reason)}"


def _origin(content: Content) -> str:
    assert content.run is not None
    run = content.runs[content.run]
    commit = dict(content.identity).get("commit", "")
    words = [f"run {run.id}", f"of {run.started:%Y-%m-%d %H:%M} UTC", f"on {run.host}", commit and f"at {commit[:12]}"]
    database = f", in {_cell(content.database)}" if content.database else ""
    return f"{_cell(' '.join(filter(None, words)))}{database}"


def _more(count: int, noun: str) -> str:
    return f"\n\nand {count:,} more {noun}" if count > 0 else ""


def _cell(text: str) -> str:
    return escape_markdown(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
