"""Comparison of what was made again with what the two runs recorded, in notes for the reader."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hil.harness.attribution.exchange import MadeDeployment
from hil.harness.attribution.parts import FIELDS, MODEL
from hil.harness.attribution.selection import DeploymentPair
from hil.harness.results.records import DeploymentFigures
from hil.harness.store.store import digest
from hil.targets import registry
from hil.targets.declaration import Role

OF_TARGET = frozenset({"npu_cycles", "npu_latency", "latency"})
"""Figures that are the target's own; the others are the same on all."""
_CAUSE = "something that is not recorded differs"


@dataclass(frozen=True)
class MadeEnds:
    """The exchange with none of the run's parts, and that with all of them."""

    before: MadeDeployment
    after: MadeDeployment


def is_on_sim(pair: DeploymentPair) -> bool:
    """Returns whether the runs' own target is the one on which exchanges run."""
    return pair.after.record.target == registry.with_role(Role.STAND_IN).name


def reproduction_notes(pair: DeploymentPair, ends: MadeEnds, of_run: Collection[bool]) -> list[str]:
    """Returns a note for each figure of an end that is not what the run recorded.

    `of_run` says of each part that was left as it is whether it is the run's: then the exchange with none of its parts
    is not the baseline.
    """
    notes: list[str] = []
    if True not in of_run:
        notes += _differing("baseline", pair.before, ends.before, is_on_sim(pair))
    if False not in of_run:
        notes += _differing("run", pair.after, ends.after, is_on_sim(pair))
    return notes


def _differing(title: str, recorded: DeploymentFigures, made: MadeDeployment, on_sim: bool) -> Iterator[str]:
    if recorded.record.identity.get(FIELDS[MODEL]) != digest(made.int8):
        yield f"{title}: training made another int8 file: {_CAUSE}"
    for name, figure in made.figures.items():
        known = recorded.figures.get(name)
        if known is not None and known.value != figure.value and (on_sim or name not in OF_TARGET):
            values = f"recorded {known.value:,.12g} {figure.unit}, made again {figure.value:,.12g}"
            yield f"{title}, {name}: {values}: {_CAUSE}"
