"""Figures of a deployment as measurements, each with unit and trust: sizes, parity, accuracy, cycles and time.

    requested_figures(evaluator, deployment)    # those that a test asked for so far; measures nothing
    size_figures(deployment), parity_figures(parity)

A figure has one name wherever it stands: in the tables, in `hil tree --json`, in the results database.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from hil.core.errors import UntrustedError
from hil.core.measurement import Measurement, Trust
from hil.harness.comparison.direction import output_figure
from hil.harness.evaluation.cost import Latency, WholeLatency, latency_of
from hil.harness.evaluation.kernel_weights import kernel_weights
from hil.harness.evaluation.limit_check import accuracy_figure, drop_figure
from hil.harness.evaluation.parity import Parity
from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.vela.compiler import VelaSummary
    from hil.targets.base import Run

_EXACT = Trust.EXACT
_IN_DRAM = {"flash": "weights and tables, which this memory mode has in DRAM"}
"""Note of the figure of flash where there is none."""
_OF_LATENCY = ("npu_cycles", "npu_ms", "inference_ms")


def requested_figures(evaluator: Evaluator, deployment: Deployment) -> tuple[Measurement, ...]:
    """Returns the sizes of a deployment, and of what is measured on the target what was requested so far."""
    results = evaluator.results(deployment)
    found = size_figures(deployment)
    if results.outcome is not None:
        counters = [one for one in results.outcome.run.measurements if one.name not in _OF_LATENCY]
        found += [*counters, *time_figures(*whole_latency(evaluator, deployment))]
    if results.parity is not None:
        found += parity_figures(results.parity)
    if results.accuracy is not None:
        found += accuracy_figures(results.accuracy)
    return tuple(found)


def session_figures(evaluator: Evaluator, deployment: Deployment, run: Run) -> list[Measurement]:
    """Returns the measured cycles and times of a further session, with the note of whatever they leave out."""
    latency = latency_of(run, deployment.compiled.summary, evaluator.target_name, evaluator.vela.system_config)
    return [one for one in time_figures(latency, "") if one.trust is Trust.MEASURED]


def size_figures(deployment: Deployment) -> list[Measurement]:
    """Returns the bytes of the int8 file and of what Vela made of it, and the zeros and distinct weights."""
    kernels = kernel_weights(deployment.weights)
    return [
        *byte_figures(deployment.int8, deployment.compiled.summary),
        *([] if kernels is None else [zeros_figure(kernels.zeros), unique_figure(kernels.unique)]),
    ]


def byte_figures(int8: bytes, summary: VelaSummary) -> list[Measurement]:
    """Returns the bytes of an int8 file and of what Vela made of it."""
    found = {
        "tflite": len(int8),
        "encoded_weights": summary.weights_encoded,
        "sram": summary.sram_bytes,
        "flash": summary.flash_bytes,
    }
    notes = _IN_DRAM if summary.weights_in_dram else {}
    return [Measurement(name, value, "bytes", _EXACT, notes.get(name, "")) for name, value in found.items()]


def zeros_figure(zeros: float) -> Measurement:
    """The share of zeros."""
    return Measurement("zeros", zeros, "fraction", _EXACT, "of the weights that techniques may touch")


def unique_figure(unique: int) -> Measurement:
    """The largest number of distinct weights in a kernel."""
    return Measurement("unique", unique, "values", _EXACT, "most in one kernel")


def parity_figures(parity: Parity) -> list[Measurement]:
    """Returns the elements that differ from the reference kernels, on the target and on `sim`."""
    kernels = f"; {parity.oracle_stand_in}" if parity.oracle_stand_in else ""
    on_target = f"of {parity.samples} samples on the target{kernels}"
    on_sim = f"of {parity.sim_samples} samples, sim against the reference{kernels}"
    return [
        Measurement("mismatches", parity.mismatches, "elements", _EXACT, on_target),
        Measurement("sim_mismatches", parity.sim_mismatches, "elements", _EXACT, on_sim),
    ]


def accuracy_figures(accuracy: Accuracy | AbsoluteAccuracy) -> list[Measurement]:
    """Returns the metric, and where there is a float base the drop against it with its interval.

    Those of further outputs follow, as `boxes.rmse`, `boxes.rmse_drop` and so on.
    """
    found = _of_one_output(accuracy)
    for output, further in accuracy.by_output.items():
        named = ((figure, output_figure(output, further.metric, figure.name)) for figure in _of_one_output(further))
        found += [replace(figure, name=name) for figure, name in named]
    return found


def _of_one_output(accuracy: Accuracy | AbsoluteAccuracy) -> list[Measurement]:
    if not isinstance(accuracy, Accuracy):
        return [accuracy_figure(accuracy)]
    unit = accuracy.unit
    return finite(
        [
            accuracy_figure(accuracy),
            Measurement("keras_accuracy", accuracy.keras, unit, _EXACT, "the same path before conversion"),
            Measurement("base_accuracy", accuracy.reference, unit, _EXACT, "the float base"),
            drop_figure(accuracy),
            Measurement("accuracy_drop_low", accuracy.low, unit, _EXACT, "lower end of the paired 95 % interval"),
            Measurement("accuracy_drop_high", accuracy.high, unit, _EXACT, "upper end of the paired 95 % interval"),
        ]
    )


def finite(figures: list[Measurement]) -> list[Measurement]:
    """Leaves out figures that are not defined, such as the ends of an interval that a metric does not have."""
    return [figure for figure in figures if math.isfinite(figure.value)]


def whole_latency(evaluator: Evaluator, deployment: Deployment) -> tuple[Latency | WholeLatency | None, str]:
    """Returns the latency (None if the target has none), and the reason if it does not cover the whole inference."""
    return check_whole(lambda: evaluator.latency(deployment))


def check_whole(measure: Callable[[], Latency | WholeLatency]) -> tuple[Latency | WholeLatency | None, str]:
    """Returns the latency that `measure` returns, as `whole_latency`."""
    latency = None
    try:
        latency = measure()
        _ = latency.ms
    except UntrustedError as error:
        return latency, str(error)
    return latency, ""


def time_figures(latency: Latency | WholeLatency | None, note: str) -> list[Measurement]:
    """Returns cycles and milliseconds; milliseconds alone for a board that times whole inferences without cycles."""
    if latency is None:
        return []
    if isinstance(latency, WholeLatency):
        return [Measurement("latency", latency.ms, "ms", latency.trust, repetitions=latency.repetitions)]
    share = f"{'of the NPU alone, ' if note else ''}at {latency.clock}"
    times = tuple(1e3 * cycles / latency.clock_hz for cycles in latency.repetitions)
    return [
        Measurement("npu_cycles", latency.cycles, "cycles", latency.trust, repetitions=latency.repetitions),
        Measurement("npu_latency" if note else "latency", latency.npu_ms, "ms", latency.trust, share, times),
    ]
