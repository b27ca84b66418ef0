"""Limits of deployments on a target: the model file's budget, overridden by the user's limits.

limits_of(model, "sim", {"max_latency_ms": 0.1})      # TargetLimits(Budget(max_latency_ms=0.1, ...), left_out="")
parse_size("256KiB")                                  # 262144
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hil.core.errors import BadInputError
from hil.harness.model import Budget, Model
from hil.targets import registry

_UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2}


@dataclass(frozen=True)
class TargetLimits:
    """The limits that a target can check, and a line about the one that it cannot; empty if it checks all."""

    limits: Budget
    left_out: str = ""


def limits_of(model: Model, target: str, given: Mapping[str, float]) -> TargetLimits:
    """Returns the limits that apply; `given` are the user's limits by their names in `Budget`.

    Raises `BadInputError` for an invalid limit (`Model.budget_with`), or a latency limit for a target without latency.
    """
    found = checkable(model.budget_with(given), target)
    if found.left_out and "max_latency_ms" in given:
        raise BadInputError(f"max_latency_ms: {target} measures no latency", hint="use sim, fvp or a board")
    return found


def checkable(limits: Budget, target: str) -> TargetLimits:
    """Returns `limits` without a latency limit if `target` has no latency."""
    if registry.declaration(target).latency is not None or "max_latency_ms" not in limits.given():
        return TargetLimits(limits)
    line = f"max_latency_ms {limits.max_latency_ms:g} is not judged: {target} measures no latency"
    return TargetLimits(replace(limits, max_latency_ms=math.inf), line)


def parse_size(text: str) -> float:
    """Parses a size in bytes, such as 262144, 256KiB or 1.5 MiB; raises `BadInputError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise BadInputError(f"{text!r} is no size", hint="bytes, or with KiB or MiB: 262144, 256KiB")
    return float(found[1]) * _UNITS[found[2]]
