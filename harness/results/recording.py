"""Recording of a command's run in the results database, where one is named.

    recording = Recording.of(results, "hil tree")      # opens the database before any work
    with recording.session(target):                    # boards in quarantine are left alone, events of boards kept
        recording.deployment(record, figures)
    code = recording.finish(0)                         # 3 if the database failed in between

A database that fails in the middle ends the recording and not the command, which has its result in the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hil.core.errors import EXIT_INFRASTRUCTURE, HilError, InfrastructureError, ResultsError
from hil.harness.results import open_results
from hil.harness.results.location import default_results_url, ini_value
from hil.harness.results.origin import origin
from hil.harness.results.records import (
    BoardRecord,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    MissingRecord,
    RunRecord,
)
from hil.harness.results.results import Results
from hil.harness.results.writer import Run
from hil.targets.base import UsesBoards

if TYPE_CHECKING:
    from hil.harness.results.quarantine import Rule
    from hil.targets.base import Target


class Recording:
    """A run that is being written; without a database, every call does nothing."""

    def __init__(self, results: Results | None = None, run: Run | None = None, rule: Rule | None = None) -> None:
        self._results = results
        self._run = run
        self._rule = rule
        self._error: ResultsError | None = None

    @classmethod
    def of(cls, results: str | None, kind: str) -> Recording:
        """Begins a run in the database of the option, `HIL_RESULTS` or the ini file; raises as `open_results`."""
        if (url := default_results_url(results)) is None:
            return cls()
        from hil.harness.results.quarantine import KEY, parse_rule

        rule = parse_rule(ini_value(KEY, Path.cwd())[0])
        opened = open_results(url)
        return cls(opened, opened.begin(RunRecord(kind, origin(Path.cwd()), tuple(sys.argv))), rule)

    @contextmanager
    def session(self, target: Target | UsesBoards, *, ignore_quarantine: bool = False) -> Iterator[None]:
        """Lets a target leave boards in quarantine alone, and writes what happened to its boards.

        A `HilError` that leaves the block is written as a failure, and ends the run with its exit code.
        """
        if not ignore_quarantine:
            self._leave_alone(target)
        try:
            yield
        except HilError as error:
            kind, board = type(error).__name__, str(getattr(error, "lost", ""))
            is_infrastructure = isinstance(error, InfrastructureError)
            self.failure(FailureRecord("", "", kind, is_infrastructure, str(error), error.log, board))
            self._write_events(target)
            self.finish(error.exit_code)
            raise
        self._write_events(target)

    @property
    def results(self) -> Results | None:
        """The open database, None without one."""
        return self._results

    def deployment(
        self, record: DeploymentRecord, figures: Sequence[FigureRecord], missing: Sequence[MissingRecord] = ()
    ) -> None:
        """Writes a deployment with its figures, and those that have no value."""

        def write(run: Run) -> None:
            with run.transaction():
                deployment = run.deployment(record)
                run.measurements(deployment, figures)
                if missing:
                    run.missing(deployment, missing)

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

    def _leave_alone(self, target: Target | UsesBoards) -> None:
        from hil.harness.results.quarantine import quarantined

        if self._results is None or self._rule is None or not isinstance(target, UsesBoards):
            return
        try:
            target.quarantine(quarantined(self._results))
        except ResultsError as error:
            self._error = error

    def _write_events(self, target: Target | UsesBoards) -> None:
        from hil.harness.results.quarantine import quarantine

        events = target.take_events() if isinstance(target, UsesBoards) else ()
        results, rule = self._results, self._rule
        if not events or results is None:
            return

        def write(run: Run) -> None:
            with run.transaction():
                for one in events:
                    run.board(BoardRecord(one.board, one.serial, one.kind.value, one.detail, one.session))
            quarantine(results, run, rule)

        self._write(write)

    def _write(self, work: Callable[[Run], None]) -> None:
        if self._run is None or self._error is not None:
            return
        try:
            work(self._run)
        except ResultsError as error:
            self._error = error
