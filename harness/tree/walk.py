"""The walk of the deployment tree: the order of the leaves, and the leaf at which it ends.

A leaf's level is the number of trainings that lead to it: ptq 0; qat, prune, cluster 1; pqat, cqat, sparse_cluster 2;
pcqat 3.  `first` ends at the first leaf that meets every limit, `all` measures every leaf and takes the fastest that
does, `best` continues with other settings (`hil.harness.tree.settings_search`).  A node is trained once for all leaves
below it, and a node that failed is not tried again.

A node is in the store before the next step begins, so an interrupted or killed walk continues after the last one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

from hil.core.errors import BadInputError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.evaluation.limits import limits_of
from hil.harness.leaves import leaves_of
from hil.harness.model import Budget, Model
from hil.harness.model.metric import check_drop
from hil.harness.optimize.litert import check_installed
from hil.harness.optimize.paths import OUTSIDE_TREE, PATHS, level, path_of
from hil.harness.tree.candidates import Candidate
from hil.harness.tree.executors import create_executor
from hil.harness.tree.leaf_producer import LeafProducer
from hil.harness.tree.observer import ProgressObserver, WalkObserver
from hil.harness.tree.reproduction import optimize_command, run_command
from hil.harness.tree.result import Leaf, LeafStatus, Verdict, Walk
from hil.harness.tree.settings_search import Effort, best_of, cost, search
from hil.harness.vela.compiler import vela_version

POLICIES = ("first", "all", "best")


def walk(
    model: Model,
    evaluator: Evaluator,
    limits: Budget | None = None,
    *,
    policy: str = "first",
    leaves: Sequence[str] = (),
    effort: Effort | None = None,
    jobs: int = 1,
    scheduler: str = "",
    observer: WalkObserver | None = None,
    failures: Path | None = None,
    vela_config: Path | None = None,
) -> Walk:
    """Walks the tree of `model` on the target of `evaluator` until `limits` are met.

    Without `limits`, the model file's budget applies, as far as the target can check it.  `leaves` are those to walk to
    (default: all of the model's in the tree), `effort` bounds the policy `best`.  The nodes are made by this process
    (`jobs=1`), by `jobs` processes, or by the workers of the dask scheduler at the address `scheduler`.  Mismatches
    write bundles below `failures`; `vela_config` only appears in the winner's command.  Raises `BadInputError` for
    invalid arguments, `InfrastructureError` if the target or the workers failed; a leaf that failed is part of the
    result.
    """
    effort = effort or Effort()
    check_policy(policy, effort)
    asked = limits_of(model, evaluator.target_name, {}).limits if limits is None else limits
    observer = observer or ProgressObserver(evaluator.pipeline.say)
    plan = leaves_in_order(model, leaves)
    identity = _identity(evaluator)  # a target that cannot run is known before anything is trained
    with create_executor(jobs, scheduler, evaluator.pipeline.compute) as executor:
        scale = evaluator.pipeline.learning_task(model).scale
        check_drop(asked.max_accuracy_drop, scale)
        observer.walk_started(model, evaluator, asked)
        producer = LeafProducer(model, evaluator, asked, observer, executor, failures)
        if policy == "best":
            done, ended = search(producer, model, plan, effort)
        else:
            candidates = [Candidate(name) for name in plan]
            observer.leaves_chosen(candidates, model)
            done = producer.leaves(candidates, lambda leaf: policy == "first" and leaf.status is LeafStatus.MET)
            ended = "every leaf was tried" if len(done) == len(plan) else "a leaf meets every limit"
    rest = tuple(name for name in plan if name not in {leaf.name for leaf in done})
    best = tuple(leaf.name for leaf in best_of(done)) if policy == "best" else ()
    verdict = _verdict(model, evaluator, policy, done, vela_config)
    compared = any(leaf.figure("base_accuracy") is not None for leaf in done)  # else the base may have failed itself
    base = evaluator.pipeline.base_score(model) if compared else None
    parts = (producer.trained, tuple(done), rest, verdict, best, ended, scale, base)
    return Walk(model.name, policy, asked, identity, *parts)


def check_policy(policy: str, effort: Effort | None = None) -> None:
    """Raises `BadInputError` for an unknown policy, for `best` without a bound, or for another policy with one."""
    if policy not in POLICIES:
        raise BadInputError(f"no policy {policy}", hint=f"there are: {', '.join(POLICIES)}")
    bounded = effort is not None and effort != Effort()
    if policy == "best" and not bounded:
        raise BadInputError(
            "best needs a bound", hint="a number of trainings (max_trainings) or of minutes (max_minutes)"
        )
    if policy != "best" and bounded:
        raise BadInputError(f"max_trainings and max_minutes bound the policy best, this is {policy}")


def leaves_in_order(model: Model, leaves: Sequence[str] = ()) -> list[str]:
    """Returns the leaves to walk to, level by level; raises `BadInputError` for one that the model does not have."""
    if model.build is None:
        raise BadInputError(f"{model.name} came as an int8 file: it has no tree")
    known = leaves_of(model, leaves)
    for name in leaves:
        path_of(name)
        if name not in known:
            raise BadInputError(f"{model.name} has no leaf {name}", hint=f"it has: {', '.join(known)}")
    wanted = [name for name in known if (name in leaves if leaves else name not in OUTSIDE_TREE)]
    if not wanted:
        raise BadInputError(f"{model.name} has no leaf in the tree", hint=f"name one outside: {', '.join(known)}")
    check_installed(wanted)
    return sorted(wanted, key=lambda name: level(PATHS[name]))


def _identity(evaluator: Evaluator) -> dict[str, str]:
    """Returns the inputs of all figures beside the models: versions, Vela's settings, target."""
    return {
        "vela": vela_version(),
        **evaluator.vela.identity(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{key: value for key, value in evaluator.target_identity.items() if value},
        "target": evaluator.target_name,
    }


def _verdict(model: Model, evaluator: Evaluator, policy: str, leaves: list[Leaf], vela_config: Path | None) -> Verdict:
    met = [leaf for leaf in leaves if leaf.status is LeafStatus.MET]
    different = [leaf.name for leaf in leaves if leaf.status is LeafStatus.MISMATCH]
    if not met:
        reason = f"{_none(leaves)}{_closest(leaves)}"
    elif policy == "first":
        reason = f"{met[-1].name} is the first that meets every limit"
    else:
        reason = f"{len(met)} of {len(leaves)} leaves meet every limit, {_distinction(met)}"
    if different:
        reason += f"; outputs on {evaluator.target_name} are not those of the reference: {', '.join(different)}"
    if not met:
        return Verdict(False, None, reason)
    winner = min(met, key=cost)
    commands = optimize_command(evaluator, model, winner), run_command(evaluator, model, winner, vela_config)
    return Verdict(not different, winner.name, reason, *commands)


def _distinction(met: list[Leaf]) -> str:
    """Says by what the winner is ahead of the other leaves that meet every limit."""
    winner = min(met, key=cost)
    if len(met) == 1:
        return f"{winner.name} alone"
    equal = [leaf for leaf in met if cost(leaf)[0] == cost(winner)[0]]
    if math.isfinite(cost(winner)[0]) and len(equal) == 1:
        return f"{winner.name} is the fastest"
    among = f"of {len(equal)} equally fast" if math.isfinite(cost(winner)[0]) else "of unknown speed"
    if len([leaf for leaf in equal if cost(leaf)[1] == cost(winner)[1]]) == 1:
        return f"{among}, {winner.name} has the fewest encoded weights"
    drop = "the least drop" if len([leaf for leaf in equal if cost(leaf) == cost(winner)]) == 1 else "no worse figures"
    return f"{among}, {winner.name} has {drop}"


def _none(leaves: list[Leaf]) -> str:
    if not leaves:
        return "no leaf was measured"
    return "no leaf meets every limit" if len(leaves) > 1 else f"{leaves[0].name} does not meet every limit"


def _closest(leaves: list[Leaf]) -> str:
    """Names the leaf whose worst limit is missed by the smallest share, if several miss one."""

    def share(leaf: Leaf) -> float:
        return max(check.over / abs(check.bound) if check.bound else math.inf for check in leaf.checks if not check.met)

    missed = [leaf for leaf in leaves if leaf.status is LeafStatus.MISSED]
    if len(missed) < 2 or math.isinf(share(closest := min(missed, key=share))):
        return ""
    return f"; {closest.name} comes closest"
