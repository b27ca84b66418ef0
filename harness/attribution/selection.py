"""Deployments whose change is attributed: those that were named, else those that are worse, else all that changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from hil.core.errors import BadInputError
from hil.harness.comparison.comparison import Outcome
from hil.harness.comparison.dependencies import PARTS
from hil.harness.comparison.stored_runs import compare_stored
from hil.harness.results.records import DeploymentFigures
from hil.harness.results.results import Results


@dataclass(frozen=True)
class DeploymentPair:
    """A deployment in the baseline and in the run."""

    before: DeploymentFigures
    after: DeploymentFigures

    @property
    def changed(self) -> bool:
        """Returns whether a figure that both have differs."""
        before, after = self.before.figures, self.after.figures
        return any(before[name].value != figure.value for name, figure in after.items() if name in before)


def select(results: Results, run_id: str, baseline_id: str, names: Collection[str] = ()) -> tuple[DeploymentPair, ...]:
    """Returns the pairs to attribute; with `names`, these.

    A gated figure that is worse selects its deployment, whatever part of the identity differs.  Raises `BadInputError`
    for a name that not both runs have, or two runs without a common deployment.
    """
    pairs = tuple(_pairs(results.figures(baseline_id), results.figures(run_id)))
    known = [pair.after.record.name for pair in pairs]
    if not pairs:
        raise BadInputError(f"{run_id} and {baseline_id} have no deployment in common")
    for name in names:
        if name not in known:
            raise BadInputError(f"not both runs have a deployment {name}", hint=f"there are: {', '.join(known)}")
    if names:
        return tuple(pair for pair in pairs if pair.after.record.name in names)
    compared = compare_stored(results, run_id, baseline_id, vary=PARTS)
    worse = {(one.target, one.deployment) for one in compared.figures if one.fails and one.outcome is Outcome.WORSE}
    failing = tuple(pair for pair in pairs if (pair.after.record.target, pair.after.record.name) in worse)
    return failing or tuple(pair for pair in pairs if pair.changed)


def _pairs(before: Sequence[DeploymentFigures], after: Sequence[DeploymentFigures]) -> Iterator[DeploymentPair]:
    """Pairs deployments by target and name; of several, those of the same accelerator."""
    for one in after:
        others = [other for other in before if _key(other) == _key(one)]
        same = [other for other in others if _accelerator(other) == _accelerator(one)]
        alone = len(others) == 1 and sum(_key(other) == _key(one) for other in after) == 1
        if found := same[:1] or others[: int(alone)]:
            yield DeploymentPair(found[0], one)


def _key(one: DeploymentFigures) -> tuple[str, str]:
    return one.record.target, one.record.name


def _accelerator(one: DeploymentFigures) -> str:
    return one.record.identity.get("accelerator", "")
