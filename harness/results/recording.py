"""Recording of a command's run in the results database, where one is named.

    recording = Recording.of(results, "hil tree")      # opens the database before any work
    recording.deployment(record, figures)
    code = recording.finish(0)                         # 3 if the database failed in between

A database that fails in the middle ends the recording and not the command, which has its result in the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hil.core.errors import EXIT_INFRASTRUCTURE, ResultsError
from hil.harness.results import open_results
from hil.harness.results.location import default_results_url
from hil.harness.results.origin import origin
from hil.harness.results.records import DeploymentRecord, FailureRecord, FigureRecord, RunRecord
from hil.harness.results.results import Results
from hil.harness.results.writer import Run


class Recording:
    """A run that is being written; without a database, every call does nothing."""

    def __init__(self, results: Results | None = None, run: Run | None = None) -> None:
        self._results = results
        self._run = run
        self._error: ResultsError | None = None

    @classmethod
    def of(cls, results: str | None, kind: str) -> Recording:
        """Begins a run in the database of the option, `HIL_RESULTS` or the ini file; raises as `open_results`."""
        if (url := default_results_url(results)) is None:
            return cls()
        opened = open_results(url)
        return cls(opened, opened.begin(RunRecord(kind, origin(Path.cwd()), tuple(sys.argv))))

    def deployment(self, record: DeploymentRecord, figures: Sequence[FigureRecord]) -> None:
        """Writes a deployment with its figures."""

        def write(run: Run) -> None:
            with run.transaction():
                run.measurements(run.deployment(record), figures)

        self._write(write)

    def failure(self, record: FailureRecord) -> None:
        """Writes a failure."""
        self._write(lambda run: run.failure(record))

    def finish(self, exit_code: int) -> int:
        """Marks the run as finished; returns the exit code, 3 instead of 0 if the database failed, with a line."""
        self._write(lambda run: run.finish(exit_code))
        if self._results is not None:
            self._results.close()
        if self._error is None:
            return exit_code
        print(f"hil: the results are not in the database: {self._error}", file=sys.stderr)
        return exit_code or EXIT_INFRASTRUCTURE

    def _write(self, work: Callable[[Run], None]) -> None:
        if self._run is None or self._error is not None:
            return
        try:
            work(self._run)
        except ResultsError as error:
            self._error = error
