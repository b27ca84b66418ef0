"""Budget of a model file: limits of its deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf, isnan

from hil.core.errors import BadInputError

OF_METRIC = ("max_accuracy_drop", "min_accuracy")
"""Limits in the unit of the model's metric."""


@dataclass(frozen=True)
class Budget:
    """Limits of a deployment of this model; infinity where none is given."""

    max_accuracy_drop: float = inf
    """Largest drop against the float Keras base; 0.01 is one point of top-1. Unit: that of the metric."""
    max_latency_ms: float = inf
    """Longest inference. Unit: ms."""
    max_sram_bytes: float = inf
    """Largest use of SRAM, as Vela reports it. Unit: bytes."""
    max_flash_bytes: float = inf
    """Largest read-only data (weights, scales, tables) in flash, or in DRAM where the memory mode has no flash, as Vela
    reports it. Unit: bytes."""
    max_model_bytes: float = inf
    """Largest int8 TFLite file. Unit: bytes."""
    min_accuracy: float = -inf
    """Least accuracy of the int8 model itself; 0.9 is 90 % of top-1.

    Of a metric of which less is better (`mae`, `eer`, ...) it is the largest value. Unit: that of the metric.
    """

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value):
                raise BadInputError(f"{limit.name} {value!r}: a limit is a number")
            if limit.name not in OF_METRIC and value <= 0:
                raise BadInputError(f"{limit.name} {value:g}: a limit of time or bytes is above 0")

    def given(self) -> dict[str, float]:
        """Returns the limits that are set, by name."""
        values = {limit.name: (getattr(self, limit.name), limit.default) for limit in fields(self)}
        return {name: float(value) for name, (value, unset) in values.items() if value != unset}

    def overridden(self, limits: Mapping[str, float]) -> Budget:
        """Returns the budget with other `limits`, by name; raises `BadInputError` for an unknown name or no number."""
        known = [limit.name for limit in fields(self)]
        for name in limits:
            if name not in known:
                raise BadInputError(f"no limit {name}", hint=f"there are: {', '.join(known)}")
        return replace(self, **limits)
