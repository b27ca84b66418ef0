"""A measurement: one number with its unit and how far it can be believed, from the counter to the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Trust(str, Enum):
    """Trust in a figure: set where the figure is made, never upgraded later."""

    EXACT = "exact"  # counted: bytes, mismatches
    MEASURED = "measured"  # real hardware
    SIMULATED = "simulated"  # Arm's FVP
    MODELLED = "modelled"  # our timing model, Vela's estimate
    UNTRUSTED = "untrusted"  # CPU cycles on any simulator


class Missing(str, Enum):
    """Reason why a figure that was to be there has no value."""

    NOT_MODELLED = "not modelled"  # an event that the simulated NPU does not know: its counter reads 0
    OVERFLOWED = "overflowed"  # a counter that wrapped, or may have
    NOT_COUNTED = "not counted"  # an event that this target's firmware counts not, and cannot be told to


@dataclass(frozen=True)
class MissingFigure:
    """A figure without a value, so that the 0 or the wrapped number in a register is never taken for one."""

    name: str
    reason: Missing
    note: str = ""

    def as_json(self) -> dict[str, str]:
        """Returns the figure as JSON."""
        return {"name": self.name, "reason": self.reason.value, "note": self.note}


@dataclass(frozen=True)
class Measurement:
    """One number: `value` in `unit`, with its trust; `note` says what it counts where the name does not.

    `repetitions` are the single values, in the order of the runs, where `value` is their median.
    """

    name: str
    value: float
    unit: str
    trust: Trust
    note: str = ""
    repetitions: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns the measurement as JSON, which has neither infinity nor NaN: their value is None."""
        value = self.value if math.isfinite(self.value) else None
        found = {"name": self.name, "value": value, "unit": self.unit, "trust": self.trust.value, "note": self.note}
        return found | ({"repetitions": list(self.repetitions)} if self.repetitions else {})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Measurement:
        """Reads what `as_json` gave."""
        value = math.nan if found["value"] is None else found["value"]
        single = tuple(found.get("repetitions", ()))
        return cls(found["name"], value, found["unit"], Trust(found["trust"]), found.get("note", ""), single)
