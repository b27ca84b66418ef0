"""Deployments of two runs in pairs: by target and name, and by accelerator where a run has several of them.

    for pair in pair_deployments(baseline, run):
        print(pair.name, pair.before, pair.after)

A run on one accelerator is paired with a run on another one: then the comparison says what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hil.harness.results.records import DeploymentFigures, DeploymentRecord


@dataclass(frozen=True)
class Pair:
    """A deployment in the baseline and in the run, None where one does not have it.

    `name` is the deployment's, with the accelerator behind it where a run has the deployment for several.
    """

    name: str
    before: DeploymentFigures | None
    after: DeploymentFigures | None

    @property
    def record(self) -> DeploymentRecord:
        """The record of the run, else of the baseline."""
        found = self.after or self.before
        assert found is not None
        return found.record


def pair_deployments(before: Sequence[DeploymentFigures], after: Sequence[DeploymentFigures]) -> list[Pair]:
    """Returns the pairs, those of the run in its order, then those that the baseline alone has."""
    counts = (Counter(map(_key, side)) for side in (before, after))
    several = {key for count in counts for key, number in count.items() if number > 1}
    old, new = (
        {(*_key(one), _accelerator(one) if _key(one) in several else ""): one for one in side}
        for side in (before, after)
    )
    return [
        Pair("-".join(filter(None, key[1:])), old.get(key), new.get(key))  # key: target, name, accelerator
        for key in {**new, **old}
    ]


def _key(one: DeploymentFigures) -> tuple[str, str]:
    return one.record.target, one.record.name


def _accelerator(one: DeploymentFigures) -> str:
    return one.record.identity.get("accelerator", "")
