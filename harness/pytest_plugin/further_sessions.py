"""Further sessions on the target for measured figures whose verdict needs them, while the run still has the target.

An unknown verdict asks for more sessions, and an alarm for a confirmation by others than the one that raised it: the
board is power-cycled or reset, and the deployment measured again.  The repetitions of session n lie beside the first as
`latency#n`; the comparison at the end of the run, and `hil compare` later, judge by all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hil.core.errors import HilError
from hil.core.measurement import Trust

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.results.records import DeploymentRecord, FigureRecord
    from hil.harness.results.results import Results

MOST_SESSIONS = 12
"""Of one deployment, with the first: as many as a verdict and its confirmation may take."""


class FurtherSessions:
    """Measures deployments again, against the baseline `baseline` of the database at `url`."""

    def __init__(self, url: str, baseline: str, vary: tuple[str, ...]) -> None:
        self._url = url
        self._baseline = baseline
        self._vary = vary
        self._results: Results | None = None
        self._done: dict[Deployment, list[FigureRecord]] = {}

    def figures(
        self, bench: Evaluator, deployment: Deployment, record: DeploymentRecord, first: list[FigureRecord]
    ) -> list[FigureRecord]:
        """Returns the figures of further sessions; measures a deployment again once in a run."""
        if not any(one.trust == Trust.MEASURED.value for one in first):
            return []
        if deployment not in self._done:
            further = self._done[deployment] = []
            for number in range(2, MOST_SESSIONS + 1):
                try:
                    if not self._wants_session(record, [*first, *further]):
                        break
                    further += _measured_again(bench, deployment, number)
                except HilError:  # a lost board, or a database that fails: the alarm stands, and others report it
                    break
        return self._done[deployment]

    def _wants_session(self, record: DeploymentRecord, figures: list[FigureRecord]) -> bool:
        from hil.harness.comparison.stored_runs import compare_deployments
        from hil.harness.results import open_results
        from hil.harness.results.records import DeploymentFigures

        if self._results is None:
            self._results = open_results(self._url, create=False)
        here = DeploymentFigures("", record, {one.name: one for one in figures})
        found = compare_deployments(self._results, [here], self._baseline, vary=self._vary)
        return any(one.gate is not None and one.wants_session for one in found.figures)

    def close(self) -> None:
        """Closes the database."""
        if self._results is not None:
            self._results.close()


def _measured_again(bench: Evaluator, deployment: Deployment, number: int) -> list[FigureRecord]:
    from hil.harness.comparison.comparison import session_name
    from hil.harness.evaluation.figures import session_figures
    from hil.harness.results.records import FigureRecord

    run = bench.measure_again(deployment)
    found = [FigureRecord.of(one) for one in session_figures(bench, deployment, run)]
    return [replace(one, name=session_name(one.name, number)) for one in found]
