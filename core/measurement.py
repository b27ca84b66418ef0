"""A measurement: one number with its unit and how far it can be believed, from the counter to the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Trust(str, Enum):
    """Trust in a figure: set where the figure is made, never upgraded later."""

    EXACT = "exact"  # counted: bytes, mismatches
    MEASURED = "measured"  # real hardware
    SIMULATED = "simulated"  # Arm's FVP
    MODELLED = "modelled"  # our timing model, Vela's estimate
    UNTRUSTED = "untrusted"  # CPU cycles on any simulator


@dataclass(frozen=True)
class Measurement:
    """One number: `value` in `unit`, with its trust; `note` says what it counts where the name does not."""

    name: str
    value: float
    unit: str
    trust: Trust
    note: str = ""
