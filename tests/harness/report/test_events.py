"""Each event of the scripted fortnight is a finding of its night's report, with its verdict and its cause."""

from __future__ import annotations

import pytest

from hil.harness.report.content import Content
from hil.harness.report.reader import read_content
from tests.support.fortnight import EVENTS, Fortnight

pytestmark = pytest.mark.xdist_group("fortnight")
CAUSES = {
    "a slower model": "prune sparsity 0.5 -> 0.1",
    "another option of Vela": "vela_options none -> --optimise Size",
    "another Vela": "-> 4.5.0",
    "a lost cluster": "LostError: layer conv lost its clusters",
    "a dead board": "PortError",
    "a replaced board": "serial_number 17 -> 18",
}
"""Event -> words of the cause of each of its findings."""
WORDS = {0: ("good", "unknown"), 1: ("worse",), 3: ("not run",)}
"""Exit code of `hil compare` -> verdicts of the report."""


def reported(fortnight: Fortnight, name: str) -> Content:
    return read_content(fortnight.nights.results, fortnight.runs[name], EVENTS[name].against)


def test_each_event_is_a_finding_with_its_verdict_and_its_cause(fortnight: Fortnight) -> None:
    for name in fortnight.compared:
        event, content = EVENTS[name], reported(fortnight, name)
        found = {one.series.figure: one for one in content.findings}
        expected = {figure: verdict for figure, verdict in event.verdicts.items() if verdict != "same"}
        assert {figure: found[figure].outcome for figure in expected} == expected, name
        assert not {*event.verdicts} - {*expected} & {*found}, name
        assert content.verdict in WORDS[event.exit_code], name
        for figure in expected:
            text = "; ".join(found[figure].cause)
            assert CAUSES.get(name, "") in text, name


def test_a_killed_night_is_unfinished_and_a_finding_says_since_when(fortnight: Fortnight) -> None:
    content = reported(fortnight, "a killed run")
    assert content.run is not None
    assert content.runs[content.run].state == "unfinished"
    slower = reported(fortnight, "a slower model")
    assert {one.since for one in slower.findings if one.outcome == "worse"} == {slower.run}
