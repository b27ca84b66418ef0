"""Limits of a walk: the model file's budget, overridden by the user's limits.

limits_of(model, "sim", {"max_latency_ms": 0.1})      # WalkLimits(Budget(max_latency_ms=0.1, ...), left_out=())
parse_size("256KiB")                                  # 262144
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from hil.core.errors import BadInputError
from hil.harness.model import Budget, Model
from hil.targets import registry

_UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2}


@dataclass(frozen=True)
class WalkLimits:
    """The limits of a walk, and a line for each limit of the model file that this target cannot check."""

    limits: Budget
    left_out: tuple[str, ...] = ()


def limits_of(model: Model, target: str, given: Mapping[str, float]) -> WalkLimits:
    """Returns the limits that apply; `given` are the user's limits by their names in `Budget`.

    Raises `BadInputError` for an invalid limit, or a latency limit for a target without latency.
    """
    known = [limit.name for limit in fields(Budget)]
    for name, value in given.items():
        if name not in known:
            raise BadInputError(f"no limit {name}", hint=f"there are: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise BadInputError(f"{name} {value}: a limit is a number")
    limits = replace(model.budget, **given)
    if registry.declaration(target).latency is not None or math.isinf(limits.max_latency_ms):
        return WalkLimits(limits)
    if "max_latency_ms" in given:
        raise BadInputError(f"max_latency_ms: {target} measures no latency", hint="use sim, fvp or a board")
    line = f"max_latency_ms {limits.max_latency_ms:g} of the model file is not judged: {target} measures no latency"
    return WalkLimits(replace(limits, max_latency_ms=math.inf), (line,))


def parse_size(text: str) -> float:
    """Parses a size in bytes, such as 262144, 256KiB or 1.5 MiB; raises `BadInputError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise BadInputError(f"{text!r} is no size", hint="bytes, or with KiB or MiB: 262144, 256KiB")
    return float(found[1]) * _UNITS[found[2]]
