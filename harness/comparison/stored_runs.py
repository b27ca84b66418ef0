"""Comparison of two runs of the results database, with the gates that the run was made with.

    compare_stored(results, run.id, baseline.id, vary=["vela"])

The noise of a measured figure comes from the database as well: its calibration from earlier runs of the same build,
its history from all earlier runs that may be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from hil.harness.comparison.comparison import Comparison, compare
from hil.harness.comparison.dependencies import differences
from hil.harness.comparison.gates import Gate, gates_of
from hil.harness.judgement import Noise, calibrate
from hil.harness.judgement.noise import FEWEST_SESSIONS
from hil.harness.results.records import DeploymentRecord, HistoryPoint

if TYPE_CHECKING:
    from hil.harness.results.results import Results

_BUILD = "int8_sha256"


def compare_stored(
    results: Results,
    run_id: str,
    baseline_id: str,
    *,
    vary: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Comparison:
    """Compares the run with the baseline; `vary` and `only` as for `compare`."""
    return compare(
        results.figures(run_id),
        results.figures(baseline_id),
        gates=_gates,
        vary=vary,
        failures=results.failures(run_id),
        noise=_noise(results, run_id, vary),
        only=only,
    )


def _gates(record: DeploymentRecord) -> Mapping[str, Gate]:
    return gates_of(record.gates)


def _noise(
    results: Results, run_id: str, vary: Collection[str]
) -> Callable[[DeploymentRecord, str], tuple[Noise | None, Sequence[float]]]:
    def of(record: DeploymentRecord, figure: str) -> tuple[Noise | None, Sequence[float]]:
        points = [
            point
            for point in results.history(record.model, record.path, record.target, figure)
            if point.run_id != run_id and not differences(figure, point.identity, record.identity, vary)
        ]
        build = record.identity.get(_BUILD)
        sessions = [_repetitions(point) for point in points if point.identity.get(_BUILD) == build]
        noise = calibrate(sessions) if len(sessions) >= FEWEST_SESSIONS else None
        return noise, [point.figure.value for point in points]

    return of


def _repetitions(point: HistoryPoint) -> tuple[float, ...]:
    return point.figure.repetitions or (point.figure.value,)
