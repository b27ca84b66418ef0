"""Boards that fail too often: the rule over runs and time, its window, and the check that lifts it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy

from hil.core.errors import BadInputError
from hil.harness.results import open_results
from hil.harness.results.address import parse_url
from hil.harness.results.board_health import StoredBoard, board_health
from hil.harness.results.quarantine import Rule, parse_rule, quarantine, quarantined
from hil.harness.results.records import BoardRecord, RunRecord, StoredEvent
from hil.harness.results.results import Results
from hil.harness.results.retention import Rule as Retention

pytestmark = pytest.mark.xdist_group("postgresql")

DOCS = Path(__file__).parents[3] / "docs" / "results-database.md"
RULE = Rule(3, timedelta(days=7))
NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


@pytest.fixture
def results(results_url: str) -> Results:
    return open_results(results_url)


def _night(results: Results, *events: str, board: str = "desk", rule: Rule | None = RULE) -> None:
    """A run with events of a board, each `KIND` or `KIND CAUSE`."""
    run = results.begin(RunRecord("pytest"))
    for event in events:
        kind, _, cause = event.partition(" ")
        run.board(BoardRecord(board, "5254AB", kind, f"{cause}: no answer; tried: power" if cause else ""))
    quarantine(results, run, rule)


def _desk(results: Results) -> StoredBoard:
    return {board.name: board for board in board_health(results)}["desk"]


def test_failures_of_several_runs_lead_into_quarantine_and_a_check_out_of_it(results: Results) -> None:
    _night(results, "identified", "lost SilentError")
    _night(results, "failed JobError")
    assert quarantined(results) == {}
    assert _desk(results).state == "ok"
    _night(results, "lost SilentError")
    desk = _desk(results)
    assert (desk.name, desk.serial, desk.state) == ("desk", "5254AB", "quarantined")
    assert desk.reason == "3 failures in 7 days, in 3 runs (SilentError 2, JobError 1)"
    assert desk.failures == {"SilentError": 2, "JobError": 1}
    assert [*quarantined(results)] == ["desk"]
    assert str(datetime.now(timezone.utc).date()) in quarantined(results)["desk"]
    _night(results, "lost SilentError")
    assert [one.record.event for one in _desk(results).events].count("quarantined") == 1, "it is there already"
    _night(results, "checked")
    assert quarantined(results) == {}
    _night(results, "lost SilentError")
    assert _desk(results).state == "ok", "what was before the check does not count"
    assert _desk(results).last_check is not None


def test_the_view_says_the_same_as_the_records(results: Results, results_url: str) -> None:
    _night(results, "identified", "lost SilentError", "checked", "lost SilentError", "failed JobError")
    _night(results, "lost GarbageError")
    _night(results, "identified", board="shelf")
    engine = sqlalchemy.create_engine(parse_url(results_url))
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT * FROM board_health ORDER BY board")).all()
        quarantined_again = "SELECT board FROM board_health WHERE state = 'quarantined'"
        assert [*found[0]._mapping] == re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", _documented()))
        desk, shelf = found
        known = _desk(results)
        assert (desk.state, desk.reason, desk.serial) == (known.state, known.reason, known.serial)
        assert (desk.state, desk.failures, desk.last_cause[:12]) == ("quarantined", 3, "GarbageError")
        assert (shelf.board, shelf.state, shelf.reason, shelf.failures, shelf.last_check_at) == (
            "shelf",
            "ok",
            "",
            0,
            None,
        )
        assert None not in (desk.quarantined_at, desk.last_failure_at, desk.last_check_at, shelf.last_seen_at)
        connection.rollback()
        _night(results, "checked")
        assert connection.execute(sqlalchemy.text(quarantined_again)).all() == []
    engine.dispose()


def test_pruning_decides_nothing_about_a_board(results: Results) -> None:
    for _ in range(3):
        _night(results, "lost SilentError")
    _night(results, "identified", board="shelf")
    assert len(results.prune(Retention(keep=1))) == 2
    assert [*quarantined(results)] == ["desk"]
    _night(results, "checked")
    _night(results, "identified", board="shelf")
    results.prune(Retention(keep=0))
    assert quarantined(results) == {}
    assert [one.record.event for one in _desk(results).events] == ["checked"]


def _documented() -> str:
    """The columns of the view in the docs."""
    (line,) = re.findall(r"^\| `board_health` \|(.*)\|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return line


def test_one_run_that_fails_again_and_again_is_one_observation(results: Results) -> None:
    _night(results, *["failed JobError"] * 5)
    assert _desk(results).state == "ok"
    _night(results, "failed JobError")
    assert _desk(results).state == "quarantined"


def test_recoveries_and_virtual_boards_lead_nowhere(results: Results) -> None:
    for _ in range(4):
        _night(results, "recovered SilentError")
        _night(results, "lost SilentError", board="virtual")
    _night(results, "lost SilentError", "lost SilentError", board="shelf")
    _night(results, "lost SilentError", board="shelf", rule=None)
    assert quarantined(results) == {}
    assert _desk(results).failures == {}


def test_failures_outside_of_the_window_do_not_count() -> None:
    def events(*days: float) -> list[StoredEvent]:
        return [
            StoredEvent(f"run{day}", NOW - timedelta(days=day), BoardRecord("desk", "", "lost", "SilentError: x"))
            for day in days
        ]

    assert RULE.reason(events(6.9, 3, 0), NOW)
    assert not RULE.reason(events(7.1, 3, 0), NOW)
    assert Rule(1, timedelta(hours=12)).reason(events(0.4), NOW) == "1 failure in 12 hours, in 1 run (SilentError 1)"


@pytest.mark.parametrize(
    ("text", "rule"),
    [(None, RULE), ("", RULE), ("3 in 7d", RULE), ("1 in 12h", Rule(1, timedelta(hours=12))), ("off", None)],
)
def test_rules(text: str | None, rule: Rule | None) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize("text", ["3", "0 in 7d", "3 in 0d", "three in 7d", "3 in 7", "never"])
def test_texts_that_are_no_rule(text: str) -> None:
    with pytest.raises(BadInputError, match=r"hil_quarantine = .*: no rule"):
        parse_rule(text)
