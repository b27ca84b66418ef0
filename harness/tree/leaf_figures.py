"""Figures of a leaf on the target, each with unit and trust, checked against every limit.

    measure_leaf(evaluator, deployment, Candidate("pqat"), limits)  # Leaf("pqat", ..., status=LeafStatus.MET, ...)

Parity comes first: where the target's outputs differ from the reference, the leaf is a mismatch and no limit is
checked.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from hil.core.errors import UntrustedError
from hil.core.measurement import Measurement, Trust
from hil.harness.evaluation.cost import Latency, WholeLatency
from hil.harness.evaluation.evaluator import Deployment, Evaluator
from hil.harness.evaluation.kernel_weights import KernelWeights, kernel_weights
from hil.harness.evaluation.limit_check import accuracy_figure, check_limits, drop_figure
from hil.harness.evaluation.training_effect import training_effect
from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy
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
    figures = [*_sizes(evaluator, deployment), _sqnr(evaluator, deployment), *_parity(evaluator, deployment)]
    identity, settings = evaluator.outcome(deployment).run.identity, candidate.settings
    notes = tuple(evaluator.pipeline.notes(deployment.model, deployment.path))
    leaf = partial(Leaf, candidate.title, path_of(candidate.leaf), identity=identity, settings=settings, notes=notes)
    parity = evaluator.parity(deployment)
    if parity.mismatches or parity.sim_mismatches:
        reason = _why_different(evaluator, deployment, failures)
        return leaf(status=LeafStatus.MISMATCH, measurements=tuple(figures), reason=reason)
    accuracy = evaluator.accuracy(deployment)
    latency, note = _latency(evaluator, deployment)
    effect = training_effect(evaluator.pipeline, deployment.model, deployment.path)
    figures += [*_accuracy(accuracy), *_finite(training_figures(effect)), *(_times(latency, note) if latency else ())]
    checks = check_limits(evaluator, deployment, limits)
    status = LeafStatus.MET if all(check.met for check in checks) else LeafStatus.MISSED
    return leaf(status=status, checks=checks, measurements=tuple(figures))


def _sizes(evaluator: Evaluator, deployment: Deployment) -> list[Measurement]:
    sizes, memory = compressed_sizes(deployment.int8), evaluator.memory(deployment)
    kernels = kernel_weights(deployment.weights) or KernelWeights(zeros=0.0, unique=0)
    found = {
        "tflite": sizes.tflite,
        "zip": sizes.zip,
        "gzip": sizes.gzip,
        "encoded_weights": memory.encoded_weight_bytes,
        "sram": memory.sram_bytes,
        "flash": memory.flash_bytes,
    }
    return [
        *(Measurement(name, value, "bytes", _EXACT) for name, value in found.items()),
        Measurement("zeros", kernels.zeros, "fraction", _EXACT, "of the weights that techniques may touch"),
        Measurement("unique", kernels.unique, "values", _EXACT, "most in one kernel"),
    ]


def _sqnr(evaluator: Evaluator, deployment: Deployment) -> Measurement:
    found = evaluator.pipeline.fidelity(deployment.model, deployment.path)
    note = f"of the int8 file against its own Keras model, worst output, {found.samples} training samples"
    return Measurement("sqnr", found.sqnr_db, "dB", _EXACT, note)


def _parity(evaluator: Evaluator, deployment: Deployment) -> list[Measurement]:
    parity = evaluator.parity(deployment)
    on_sim = f"of {parity.sim_samples} samples, sim against the reference"
    return [
        Measurement("mismatches", parity.mismatches, "elements", _EXACT, f"of {parity.samples} samples on the target"),
        Measurement("sim_mismatches", parity.sim_mismatches, "elements", _EXACT, on_sim),
    ]


def _why_different(evaluator: Evaluator, deployment: Deployment, failures: Path | None) -> str:
    if failures is not None:
        from hil.harness.evaluation.mismatch_bundle import explain_mismatch

        return explain_mismatch(evaluator, deployment, failures)
    parity = evaluator.parity(deployment)
    return (
        f"{parity.mismatches} elements of {parity.samples} samples differ from the reference on {deployment.target}, "
        f"{parity.sim_mismatches} of {parity.sim_samples} on sim"
    )


def _accuracy(accuracy: Accuracy | AbsoluteAccuracy) -> list[Measurement]:
    unit = accuracy.unit
    figures = [
        accuracy_figure(accuracy),
        Measurement("keras_accuracy", accuracy.keras, unit, _EXACT, "the same path before conversion"),
        Measurement("base_accuracy", accuracy.reference, unit, _EXACT, "the float base"),
        drop_figure(accuracy),
        Measurement("accuracy_drop_low", accuracy.low, unit, _EXACT, "lower end of the paired 95 % interval"),
        Measurement("accuracy_drop_high", accuracy.high, unit, _EXACT, "upper end of the paired 95 % interval"),
    ]
    return _finite(figures)


def _finite(figures: list[Measurement]) -> list[Measurement]:
    """Leaves out the ends of an interval that a metric does not have."""
    return [figure for figure in figures if math.isfinite(figure.value)]


def _latency(evaluator: Evaluator, deployment: Deployment) -> tuple[Latency | WholeLatency | None, str]:
    """Returns the latency (None if the target has none), and the reason if it does not cover the whole inference."""
    latency = None
    try:
        latency = evaluator.latency(deployment)
        _ = latency.ms
    except UntrustedError as error:
        return latency, str(error)
    return latency, ""


def _times(latency: Latency | WholeLatency, note: str) -> list[Measurement]:
    """Returns cycles and milliseconds; milliseconds alone for a board that times whole inferences without cycles."""
    if isinstance(latency, WholeLatency):
        return [Measurement("latency", latency.ms, "ms", latency.trust)]
    share = f"{'of the NPU alone, ' if note else ''}at {latency.clock}"
    return [
        Measurement("npu_cycles", latency.cycles, "cycles", latency.trust),
        Measurement("npu_latency" if note else "latency", latency.npu_ms, "ms", latency.trust, share),
    ]
