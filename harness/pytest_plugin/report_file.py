"""Report of a session, written at its end.

    pytest --target fvp --results nightly.db --baseline main --hil-report report.html

With a results database, the report has its trends of the last 90 days; without one, this run alone.  A report that
cannot be made or written is a line in the terminal: the tests' own result and exit code stay.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.harness.output_file import write_output
from hil.harness.report.output import render, suffix_form

if TYPE_CHECKING:
    from hil.harness.pytest_plugin.results_recorder import ResultsRecorder
    from hil.harness.report.content import Content

PERIOD = timedelta(days=90)


class ReportFile:
    """Writes `path` when the recorder has finished its run, which is registered before this."""

    def __init__(self, path: Path, recorder: ResultsRecorder) -> None:
        self._path = path
        self._recorder = recorder
        self._line, self._failed = "", False

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        try:
            write_output(self._path, render(self._content(), suffix_form(self._path)).encode("utf-8", "replace"))
            self._line = f"report: {self._path}"
        except Exception as error:  # a session has its result, whatever happens to the report
            self._line, self._failed = f"the report was not written: {type(error).__name__}: {error}", True

    def _content(self) -> Content:
        from hil.harness.report.content import Content
        from hil.harness.report.reader import read_content
        from hil.harness.report.verdict import EMPTY

        recorded = self._recorder.recorded()
        if recorded is None:
            sentence = self._recorder.failure or "No deployment was tested in this session."
            return Content(EMPTY, sentence, datetime.now(timezone.utc), "", "")
        results, run_id = recorded
        name = "" if self._recorder.is_temporary else results.name
        return read_content(results, run_id, self._recorder.baseline, PERIOD, name)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(self._line, red=self._failed)
