"""Figures of a leaf on the target, each with unit and trust, checked against every limit.

    measure_leaf(evaluator, deployment, Candidate("pqat"), limits)  # Leaf("pqat", ..., status=LeafStatus.MET, ...)

Parity comes first: where the target's outputs differ from the reference, the leaf is a mismatch and no limit is
checked.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hil.core.measurement import Measurement, Trust
from hil.harness.evaluation.evaluator import Deployment, Evaluator
from hil.harness.evaluation.figures import (
    accuracy_figures,
    finite,
    parity_figures,
    size_figures,
    time_figures,
    whole_latency,
)
from hil.harness.evaluation.identity import deployment_identity
from hil.harness.evaluation.limit_check import check_limits
from hil.harness.evaluation.training_effect import training_effect
from hil.harness.metrics.accuracy import lines_by_output
from hil.harness.model import Budget
from hil.harness.optimize.paths import path_of
from hil.harness.tree.candidates import Candidate
from hil.harness.tree.file_sizes import compressed_sizes
from hil.harness.tree.result import Leaf, LeafStatus
from hil.harness.tree.training_report import training_figures

_EXACT = Trust.EXACT


def measure_leaf(
    evaluator: Evaluator, deployment: Deployment, candidate: Candidate, limits: Budget, failures: Path | None = None
) -> Leaf:
    """Measures a candidate's deployment.  A mismatch writes a bundle below `failures`."""
    parity = evaluator.parity(deployment)
    figures = [*_sizes(deployment), _sqnr(evaluator, deployment), *parity_figures(parity)]
    identity, settings = deployment_identity(evaluator, deployment), candidate.settings
    notes = tuple(evaluator.pipeline.notes(deployment.model, deployment.path))
    leaf = partial(Leaf, candidate.title, path_of(candidate.leaf), identity=identity, settings=settings)
    if parity.mismatches or parity.sim_mismatches:
        reason = _why_different(evaluator, deployment, failures)
        return leaf(status=LeafStatus.MISMATCH, measurements=tuple(figures), reason=reason, notes=notes)
    accuracy = evaluator.accuracy(deployment)
    notes += tuple(f"{candidate.title}: {line}" for line in lines_by_output(accuracy))
    effect = training_effect(evaluator.pipeline, deployment.model, deployment.path)
    figures += [*accuracy_figures(accuracy), *finite(training_figures(effect))]
    figures += time_figures(*whole_latency(evaluator, deployment))
    checks = check_limits(evaluator, deployment, limits)
    status = LeafStatus.MET if all(check.met for check in checks) else LeafStatus.MISSED
    return leaf(status=status, checks=checks, measurements=tuple(figures), notes=notes)


def _sizes(deployment: Deployment) -> list[Measurement]:
    sizes = compressed_sizes(deployment.int8)
    return [
        *size_figures(deployment),
        Measurement("zip", sizes.zip, "bytes", _EXACT),
        Measurement("gzip", sizes.gzip, "bytes", _EXACT),
    ]


def _sqnr(evaluator: Evaluator, deployment: Deployment) -> Measurement:
    found = evaluator.pipeline.fidelity(deployment.model, deployment.path)
    note = f"of the int8 file against its own Keras model, worst output, {found.samples} training samples"
    return Measurement("sqnr", found.sqnr_db, "dB", _EXACT, note)


def _why_different(evaluator: Evaluator, deployment: Deployment, failures: Path | None) -> str:
    if failures is not None:
        from hil.harness.evaluation.mismatch_bundle import explain_mismatch

        return explain_mismatch(evaluator, deployment, failures)
    parity = evaluator.parity(deployment)
    found = f"{parity.mismatches} elements of {parity.samples} samples differ from the reference on {deployment.target}"
    return found if deployment.target == "sim" else f"{found}, {parity.sim_mismatches} of {parity.sim_samples} on sim"
