"""Checks of a deployment's figures against limits, and the words for them.

    checks = check_limits(evaluator, deployment, Budget(max_latency_ms=0.08))
    [format_check(check) for check in checks if not check.met]  # ["latency 0.1193 ms, limit 0.0800, 0.0393 too much"]

A figure that cannot be told (latency with operators on a simulated CPU, the drop of an int8 file) meets no limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.core.errors import NoReferenceError, UntrustedError
from hil.core.measurement import Measurement, Trust
from hil.harness.model import Budget, Scale
from hil.harness.model.budget import OF_METRIC
from hil.harness.model.metric import SHARE
from hil.harness.number_format import fixed

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy


@dataclass(frozen=True)
class LimitCheck:
    """Check of one limit on one deployment: `limit` is its name in `Budget`, `bound` its value, in `unit`.

    `value` is the measured value, None if the target cannot measure it; `note` is the reason.  With `lower_is_better`,
    the least accuracy is the largest value of the metric.
    """

    limit: str
    value: float | None
    bound: float
    unit: str
    trust: Trust
    note: str = ""
    lower_is_better: bool = False

    @property
    def is_minimum(self) -> bool:
        return self.limit.startswith("min_") and not self.lower_is_better

    @property
    def met(self) -> bool:
        return self.over == 0

    @property
    def over(self) -> float:
        """Distance beyond the bound, in its unit; 0 if it is met, infinity if the value is unknown."""
        if self.value is None or math.isnan(self.value):
            return math.inf
        return max(0.0, self.bound - self.value if self.is_minimum else self.value - self.bound)


def check_limits(evaluator: Evaluator, deployment: Deployment, limits: Budget) -> tuple[LimitCheck, ...]:
    """Checks every limit that is set; measures what the evaluator has not measured yet."""
    return tuple(_check(evaluator, deployment, limit, bound) for limit, bound in limits.given().items())


def _check(evaluator: Evaluator, deployment: Deployment, limit: str, bound: float) -> LimitCheck:
    kind = _KINDS[limit]
    try:
        found = kind.figure(evaluator, deployment)
    except (UntrustedError, NoReferenceError) as error:
        return LimitCheck(limit, None, bound, kind.unit, Trust.UNTRUSTED, str(error))
    lower = limit in OF_METRIC and evaluator.accuracy(deployment).lower_is_better
    return LimitCheck(limit, found.value, bound, found.unit, found.trust, found.note, lower)


# -- figures


def accuracy_figure(accuracy: Accuracy | AbsoluteAccuracy) -> Measurement:
    """The metric of the int8 model."""
    note = f"{accuracy.metric} of {accuracy.samples} test samples"
    return Measurement("accuracy", accuracy.value, accuracy.unit, Trust.EXACT, note)


def drop_figure(accuracy: Accuracy | AbsoluteAccuracy) -> Measurement:
    """The drop against the float base; raises `NoReferenceError` without one."""
    drop = round(accuracy.drop, 12)  # 0.9157 - 0.9057 is a drop of 0.01, whatever floats make of it
    note = f"against the float base; 95 % interval {accuracy.low:+.4f} to {accuracy.high:+.4f}"
    return Measurement("accuracy_drop", drop, accuracy.unit, Trust.EXACT, note)


def _latency(evaluator: Evaluator, deployment: Deployment) -> Measurement:
    latency = evaluator.latency(deployment)
    return Measurement("latency", latency.ms, "ms", latency.trust)


def _bytes(name: str, value: int) -> Measurement:
    return Measurement(name, value, "bytes", Trust.EXACT)


@dataclass(frozen=True)
class _Kind:
    """Figure that a limit bounds: its name in words, its unit, and the function that measures it."""

    words: str
    unit: str
    figure: Callable[[Evaluator, Deployment], Measurement]


_KINDS = {
    "max_accuracy_drop": _Kind("drop", "fraction", lambda bench, one: drop_figure(bench.accuracy(one))),
    "min_accuracy": _Kind("accuracy", "fraction", lambda bench, one: accuracy_figure(bench.accuracy(one))),
    "max_latency_ms": _Kind("latency", "ms", _latency),
    "max_sram_bytes": _Kind("SRAM", "bytes", lambda bench, one: _bytes("sram", bench.memory(one).sram_bytes)),
    "max_flash_bytes": _Kind("flash", "bytes", lambda bench, one: _bytes("flash", bench.memory(one).flash_bytes)),
    "max_model_bytes": _Kind(".tflite", "bytes", lambda bench, one: _bytes("tflite", len(one.int8))),
}
"""Limit -> what it bounds."""


# -- words


def format_check(check: LimitCheck) -> str:
    """Names the figure with its value; if it misses the limit, also the limit and by how much, or why it is unknown."""
    limit, words = check.limit, _KINDS[check.limit].words
    if check.value is None:
        return f"{words} unknown: {check.note}"
    scale = Scale(check.unit, check.lower_is_better) if limit in OF_METRIC else SHARE
    sign = "+" if limit == "max_accuracy_drop" and check.value >= 0 else ""
    value = f"{words} {sign}{_number(limit, check.value, scale)}{_unit(limit, scale)}"
    if check.met:
        return value
    far = "too little" if check.is_minimum else "too much"
    return f"{value}, limit {_number(limit, check.bound, scale)}, {_number(limit, check.over, scale)} {far}"


def format_limits(limits: Budget, scale: Scale = SHARE) -> str:
    """Formats limits in a line, such as "latency at most 0.0800 ms, SRAM at most 64.0 KiB".

    `scale` is that of the model's metric.
    """
    return ", ".join(format_limit(limit, bound, scale) for limit, bound in limits.given().items()) or "no limits"


def format_limit(limit: str, bound: float, scale: Scale = SHARE) -> str:
    """Formats one limit: "latency at most 0.0800 ms"."""
    direction = "at least" if limit.startswith("min_") and not scale.lower_is_better else "at most"
    return f"{_KINDS[limit].words} {direction} {_number(limit, bound, scale)}{_unit(limit, scale)}"


def _unit(limit: str, scale: Scale) -> str:
    """Returns the unit that follows `_number`, empty where the number has it itself or has none."""
    if limit in OF_METRIC and not scale.is_share:
        return scale.symbol
    return {"max_accuracy_drop": " points", "max_latency_ms": " ms"}.get(limit, "")


def _number(limit: str, value: float, scale: Scale) -> str:
    if limit == "max_accuracy_drop":
        return scale.difference_number(value, signed=False)
    if limit.endswith("_bytes"):
        return f"{value:,.0f} bytes" if value < 1024 else f"{value / 1024:,.1f} KiB"
    if limit == "max_latency_ms":
        return fixed([value], 4)[0]
    return f"{value:.4f}" if scale.is_share else scale.number(value)
