"""Coverage of an operator's outputs by a comparison of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Coverage(str, Enum):
    """Coverage of a tensor by a comparison.

    `ALONE`: all elements, of an operator that ran by itself on the reference's inputs (`cpu_kernels`).  Its own fault
    would show, one that comes from an operator before it would not.
    """

    WHOLE = "whole"
    STRIPES = "stripes of a cascade"
    ALONE = "alone"
    PARTLY = "in part"
    NOT = "not"


@dataclass(frozen=True)
class Compared:
    """An operator's output with the coverage of its comparison.

    `reason` explains a coverage that is not complete; `mismatches` counts elements over all samples.  `fused`: no
    command of its own writes the tensor, so that another operator's command computes it, or nothing does.
    """

    operator_index: int
    operator: str
    tensor: str
    how: Coverage
    reason: str = ""
    mismatches: int = 0
    fused: bool = False

    def __str__(self) -> str:
        return f"{self.operator} {self.operator_index}"

    @property
    def equal(self) -> bool:
        """True if the readers of the tensor have the same values in both runs: all were compared, none differs."""
        return self.how in (Coverage.WHOLE, Coverage.STRIPES) and not self.mismatches
