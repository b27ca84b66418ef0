"""The Markdown of a report is short, and what was recorded stays text: no HTML, no markup, no mention, no reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from hil.harness.report.content import BoardHealth, Content, Failure, Finding, Night, Series
from hil.harness.report.markdown import MOST_FINDINGS, markdown

AT = datetime(2026, 7, 10, 2, 30, tzinfo=timezone.utc)
SERIES = Series("s", "kws", "pqat", "fvp", "ethos-u55-128", "Shared_Sram", "", "npu_cycles", "cycles", "modelled", True)
WORSE = Finding(SERIES, "worse", 1000.0, 1300.0, 0.3, "exact", ("vela 5.1.0 -> 5.2.0",), 0, True)
CONTENT = Content(
    verdict="worse",
    sentence="1 figure of 1 deployment is worse than in main.",
    made=AT,
    database="nightly.db",
    baseline="main",
    runs=(Night("20260710-023000-x", AT, "pytest", "lab-1", "finished", 1),),
    run=0,
    findings=(replace(WORSE, outcome="better", relative=-0.5), WORSE),
    failures=(Failure("t.py::t", "kws-pqat", "", "AssertionError", False, "assert 3 == 0", "CONV_2D, operator 3", ""),),
    boards=(BoardHealth("desk", "1", "ok", "", (), ()), BoardHealth("shelf", "2", "quarantined", "3 in 7d", (), ())),
    identity=(("commit", "0123456789abcdef"),),
)


def test_it_has_the_verdict_the_gravest_first_and_their_causes() -> None:
    lines = markdown(CONTENT).splitlines()
    assert lines[0] == "### worse: 1 figure of 1 deployment is worse than in main."
    row = "| worse | kws-pqat | fvp | npu\\_cycles | 1,000 | 1,300 | +30.0 | 2026-07-10 | vela 5.1.0 -&gt; 5.2.0 |"
    assert row in lines
    assert lines.index(row) < next(number for number, line in enumerate(lines) if "better" in line)
    assert "- t.py::t: AssertionError: assert 3 == 0; first operator that differs: CONV\\_2D, operator 3" in lines
    assert [line for line in lines if line.startswith("board")] == ["board shelf: quarantined: 3 in 7d"]
    assert lines[-1] == "run 20260710-023000-x of 2026-07-10 02:30 UTC on lab-1 at 0123456789ab, in nightly.db"
    alone = markdown(replace(CONTENT, database="")).splitlines()
    assert alone[-1].endswith(" on lab-1 at 0123456789ab")


def test_what_was_recorded_is_text() -> None:
    nasty = "<script>`x`|*a*|[b](http://c) @octocat #7\n\x1b[31m"
    series = replace(SERIES, model=nasty, board=nasty)
    failure = Failure(nasty, nasty, nasty, nasty, False, nasty, nasty, nasty)
    found = replace(
        *(CONTENT,),
        sentence=nasty,
        findings=(replace(WORSE, series=series, cause=(nasty,)),),
        failures=(failure,),
        boards=(BoardHealth(nasty, "", "quarantined", nasty, (), ()),),
        database=nasty,
    )
    text = markdown(found)
    assert "<script>" not in text
    assert "@octocat" not in text
    assert "#7" not in text
    assert "\x1b" not in text
    assert all(line.count("|") - line.count("\\|") in (0, 10) for line in text.splitlines()), "the table stays whole"


def test_it_is_bounded() -> None:
    long = replace(WORSE, cause=("x" * 100_000,), series=replace(SERIES, model="m" * 100_000))
    failure = replace(CONTENT.failures[0], message="m" * 100_000, test="t" * 100_000, first_operator="o" * 100_000)
    text = markdown(replace(CONTENT, findings=(long,) * 5_000, failures=(failure,) * 5_000))
    assert len(text) < 40_000
    assert f"and {5_000 - MOST_FINDINGS:,} more figures" in text
    assert "and 4,990 more failures" in text
