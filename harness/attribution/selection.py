"""Deployments whose change is attributed: those that were named, else those that are worse, else all that changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hil.core.errors import BadInputError
from hil.harness.comparison.comparison import Outcome
from hil.harness.comparison.dependencies import PARTS
from hil.harness.comparison.pairing import pair_deployments
from hil.harness.comparison.stored_runs import compare_stored
from hil.harness.results.records import DeploymentFigures
from hil.harness.results.results import Results


@dataclass(frozen=True)
class DeploymentPair:
    """A deployment in the baseline and in the run, by its name in their comparison."""

    name: str
    before: DeploymentFigures
    after: DeploymentFigures

    @property
    def changed(self) -> bool:
        """Returns whether a figure that both have differs."""
        before, after = self.before.figures, self.after.figures
        return any(before[name].value != figure.value for name, figure in after.items() if name in before)


def select(
    results: Results, run_id: str, baseline_id: str, names: Collection[str] = (), target: str = ""
) -> tuple[DeploymentPair, ...]:
    """Returns the pairs to attribute; with `names`, these, and with `target`, those that ran there.

    A gated figure that is worse selects its deployment, whatever part of the identity differs.  Raises `BadInputError`
    for a name that not both runs have, or two runs without a common deployment.
    """
    common = tuple(
        DeploymentPair(pair.name, pair.before, pair.after)
        for pair in pair_deployments(results.figures(baseline_id), results.figures(run_id))
        if pair.before and pair.after
    )
    if not common:
        raise BadInputError(f"{run_id} and {baseline_id} have no deployment in common")
    pairs = tuple(pair for pair in common if target in ("", pair.after.record.target))
    if not pairs:
        targets = ", ".join(sorted({pair.after.record.target for pair in common}))
        raise BadInputError(f"{run_id} and {baseline_id} did not run on {target}", hint=f"they ran on {targets}")
    known = [pair.after.record.name for pair in pairs]
    for name in names:
        if name not in known:
            raise BadInputError(f"not both runs have a deployment {name}", hint=f"there are: {', '.join(known)}")
    if names:
        return tuple(pair for pair in pairs if pair.after.record.name in names)
    compared = compare_stored(results, run_id, baseline_id, vary=PARTS)
    worse = {(one.target, one.deployment) for one in compared.figures if one.fails and one.outcome is Outcome.WORSE}
    failing = tuple(pair for pair in pairs if (pair.after.record.target, pair.name) in worse)
    return failing or tuple(pair for pair in pairs if pair.changed)
