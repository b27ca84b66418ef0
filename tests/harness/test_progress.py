"""Progress lines are text, whatever the names in them are."""

from __future__ import annotations

import pytest

from hil.harness.progress import LineProgress


def test_a_name_from_a_database_is_no_terminal_code_and_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    LineProgress()("\x1b[2Jkws\n\u202eon sim: exchange", 1, 2)
    assert capsys.readouterr().err == "  kws on sim: exchange\n"
