"""Sessions of pytest on a board that fails night after night: its events, its quarantine, tests that are not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.harness.results import open_results
from hil.harness.results.records import BoardRecord, RunRecord
from hil.harness.results.results import Results

from .blob_suite import repository, run

DESK = """
based_on = "mps3_an547"
[port]
path = "/dev/hil-no-such-port"
[reset]
boot_s = 0.1
"""
SESSION = ("--target", "serial", "--board", "desk.toml", "--results=nightly.db", "--technique", "ptq")


def _events(results: Results) -> list[str]:
    return [event.record.event for event in results.board_events("desk") if isinstance(event.record, BoardRecord)]


@pytest.mark.nightly
def test_a_board_that_fails_night_after_night_is_left_alone(tmp_path: Path, store: Path) -> None:
    folder = repository(tmp_path, {"desk.toml": DESK, "pytest.ini": "[pytest]\n"})
    results = open_results(str(folder / "nightly.db"))
    for _ in range(2):
        results.begin(RunRecord("pytest")).board(BoardRecord("desk", "5254AB", "lost", "SilentError: nothing came"))

    third = run(folder, store, *SESSION)
    assert third.returncode == 6, third.stdout + third.stderr
    assert "desk is out of order since " in third.stdout
    assert _events(results) == ["lost", "lost", "lost", "quarantined"]
    assert results.board_events("desk", results.run("latest").id)

    fourth = run(folder, store, *SESSION, "-n", "2", plugins=("xdist",))
    assert fourth.returncode == 6, fourth.stdout + fourth.stderr
    line = (
        "QuarantinedError: desk is in quarantine: 3 failures in 7 days, in 3 runs (SilentError 2, PortError 1), since"
    )
    assert line in fourth.stdout
    assert "(hil boards check desk.toml lifts it)" in fourth.stdout
    assert _events(results) == ["lost", "lost", "lost", "quarantined"], "the board was not tried"
    failures = results.failures(results.run("latest").id)
    assert {(failure.kind, failure.infrastructure, failure.board) for failure in failures} == {
        ("QuarantinedError", True, "desk")
    }

    (folder / "pytest.ini").write_text("[pytest]\nhil_quarantine = never\n")
    wrong = run(folder, store, *SESSION)
    assert wrong.returncode == 4
    assert "hil_quarantine = never: no rule (a number of failures in hours, days or weeks: 3 in 7d)" in wrong.stderr
