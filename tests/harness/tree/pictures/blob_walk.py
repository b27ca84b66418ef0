"""A walk of the blobs' tree, for tests of its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Model
    from hil.harness.tree import Walk
    from hil.harness.tree.pictures import KernelStages


@dataclass(frozen=True)
class Walked:
    """A walk of the blobs' tree (ptq and pqat), with its evaluator and model."""

    model: Model
    bench: Evaluator
    found: Walk
    kernel: KernelStages
