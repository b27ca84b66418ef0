"""Result of a walk: leaves with their figures and checks, and a verdict.

    from hil.harness.tree import walk

    found = walk(model, bench)
    found.leaves[0].status, found.leaves[0].checks[0].over      # LeafStatus.MISSED, 0.019 (ms)
    found.verdict.met, found.verdict.winner                     # True, "pqat"

All are frozen dataclasses; `record` converts them to JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Protocol

from hil.core.measurement import Measurement
from hil.harness.evaluation.limit_check import LimitCheck
from hil.harness.metrics.base_score import BaseScore
from hil.harness.model import Budget, Scale
from hil.harness.model.metric import SHARE
from hil.harness.optimize.paths import Node
from hil.harness.optimize.paths import level as level_of
from hil.harness.optimize.training_history import Epoch
from hil.harness.tree.candidates import Settings


class LeafStatus(str, Enum):
    """Outcome of a leaf."""

    MET = "met"  # every limit holds
    MISSED = "missed"  # a limit does not hold, or the target cannot tell
    MISMATCH = "mismatch"  # outputs unlike the reference: none of its figures can be relied on
    FAILED = "failed"  # it could not be made: a technique lost its promise, or does not take this model


@dataclass(frozen=True)
class TrainedNode:
    """A node of the tree: `seconds` of its training, `anew` if this walk made it, `settings` other than the model's.

    `epochs` are those of its training; none if it was not trained but read from a file.
    """

    node: Node
    seconds: float
    anew: bool
    settings: Settings = ()
    epochs: tuple[Epoch, ...] = ()


@dataclass(frozen=True)
class Leaf:
    """A leaf that the walk reached.

    `name` is the technique followed by the `settings` that differ from the model's ("pqat sparsity=0.7").  `reason` is
    set where the leaf was not fully measured; `identity` is that of the run; `notes` are its steps' remarks on layers.
    """

    name: str
    path: Node
    status: LeafStatus
    checks: tuple[LimitCheck, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    reason: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = ()
    notes: tuple[str, ...] = ()

    @property
    def technique(self) -> str:
        """Name without the settings."""
        return self.name.partition(" ")[0]

    @property
    def level(self) -> int:
        """Number of trainings on the path from the base."""
        return level_of(self.path)

    def figure(self, name: str) -> float | None:
        """Returns the value of a measurement; None if it was not measured."""
        return next((found.value for found in self.measurements if found.name == name), None)


def speed_figure(leaves: Iterable[Leaf]) -> str:
    """Returns the measurement that compares leaves by speed: `npu_cycles`, or `latency` (ms) of a board without cycles.

    Empty where the target has neither, such as `host`.
    """
    names = {found.name for leaf in leaves for found in leaf.measurements}
    return next((name for name in ("npu_cycles", "latency") if name in names), "")


class ComparedLeaves(Protocol):
    """Leaves of a model at one place, for tables and pictures that compare them: of a walk, or of a report."""

    @property
    def leaves(self) -> tuple[Leaf, ...]: ...
    @property
    def target(self) -> str: ...
    @property
    def limits(self) -> Budget: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def front(self) -> tuple[str, ...]: ...
    @property
    def winner(self) -> Leaf | None: ...


@dataclass(frozen=True)
class Verdict:
    """Verdict: `met` if a leaf meets every limit and no output differs from the reference; winner and commands."""

    met: bool
    winner: str | None
    reason: str
    optimize: str = ""
    run: str = ""


@dataclass(frozen=True)
class Walk:
    """Result of a walk: model, policy, limits, identity, trained nodes, leaves, verdict.

    `not_walked` are the leaves after the one that ended the walk.  `front`, of the policy `best`, is the Pareto front
    of accuracy drop, speed (`speed_figure`) and encoded weights, among the leaves that meet the limits if any does.
    `ended` is the reason for the end of the walk, `scale` that of the model's metric, `base` the score of the float
    base (None for a metric of the user's own).
    """

    model: str
    policy: str
    limits: Budget
    identity: Mapping[str, str]
    trained: tuple[TrainedNode, ...]
    leaves: tuple[Leaf, ...]
    not_walked: tuple[str, ...]
    verdict: Verdict
    front: tuple[str, ...] = ()
    ended: str = ""
    scale: Scale = SHARE
    base: BaseScore | None = None

    @property
    def target(self) -> str:
        return self.identity["target"]

    @property
    def winner(self) -> Leaf | None:
        return next((leaf for leaf in self.leaves if leaf.name == self.verdict.winner), None)

    def record(self) -> dict[str, Any]:
        """Returns the walk as JSON."""
        return {
            "model": self.model,
            "policy": self.policy,
            "limits": self.limits.given(),
            "identity": dict(self.identity),
            "trained": [
                {**asdict(node), "node": list(node.node), "settings": dict(node.settings)} for node in self.trained
            ],
            "leaves": [_leaf_record(leaf) for leaf in self.leaves],
            "not_walked": list(self.not_walked),
            "front": list(self.front),
            "ended": self.ended,
            "metric": asdict(self.scale),
            "base": self.base.record() if self.base else None,
            "verdict": asdict(self.verdict),
        }


def _leaf_record(leaf: Leaf) -> dict[str, Any]:
    return {
        "leaf": leaf.technique,
        "settings": dict(leaf.settings),
        "name": leaf.name,
        "path": list(leaf.path),
        "level": leaf.level,
        "status": leaf.status.value,
        "reason": leaf.reason,
        "checks": [_check_record(check) for check in leaf.checks],
        "measurements": [found.as_json() for found in leaf.measurements],
        "identity": dict(leaf.identity),
        "notes": list(leaf.notes),
    }


def _check_record(check: LimitCheck) -> dict[str, Any]:
    found = {**asdict(check), "trust": check.trust.value, "met": check.met, "over": _number(check.over)}
    bound = {"least" if check.is_minimum else "most": found.pop("bound")}
    return {**found, **bound, "value": None if check.value is None else _number(check.value)}


def _number(value: float) -> float | None:
    """Returns a number for JSON, which has neither infinity nor NaN."""
    return value if math.isfinite(value) else None
