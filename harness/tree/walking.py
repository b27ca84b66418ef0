"""The order of a walk, what it shares, and where it ends.

A leaf's level is the number of trainings that lead to it: ptq 0; qat, prune, cluster 1; pqat, cqat, sparse_cluster 2;
pcqat 3.  `first` ends at the first leaf that meets every limit, `all` measures every leaf and takes the fastest that
does.  A node is trained once, whatever leaves stand on it, and one that failed is not tried again.

What was made is in the store when the next step begins, so an interrupted or killed walk goes on where it was.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

from hil.harness.bench import Bench
from hil.harness.errors import OptimizeError
from hil.harness.model import Budget, Model
from hil.harness.optimize.paths import PATHS, Node, path_of, training_node
from hil.harness.selection import leaves_of
from hil.harness.store import digest
from hil.harness.tree.again import optimize_command, run_command
from hil.harness.tree.limits import limits_of
from hil.harness.tree.measuring import measured
from hil.harness.tree.result import Leaf, Status, Trained, Verdict, Walk
from hil.harness.vela import CompileError, vela_version
from hil.npu.errors import BadInputError, HilError, StreamError

POLICIES = ("first", "all")
OUTSIDE = ("int16x8",)
"""Leaves outside the tree: walked to only where they are named."""
_OF_A_LEAF = (OptimizeError, CompileError, StreamError)
"""What says that a technique, Vela or the NPU does not take this model on this path; anything else ends the walk."""


class Watcher:
    """Who hears of a walk as it goes; this one does not care."""

    def starts(self, model: Model, bench: Bench, limits: Budget, leaves: Sequence[str]) -> None:
        """The leaves in the order in which they will be walked to."""

    def training(self, node: Node) -> None:
        """A node is wanted; it may come from the store."""

    def trained(self, node: Trained) -> None:
        """A node is there."""

    def measuring(self, leaf: str) -> None:
        """A leaf is converted, compiled and run."""

    def walked(self, leaf: Leaf) -> None:
        """A leaf is done."""


def walk(
    model: Model,
    bench: Bench,
    limits: Budget | None = None,
    *,
    policy: str = "first",
    leaves: Sequence[str] = (),
    watcher: Watcher | None = None,
    failures: Path | None = None,
    vela_config: Path | None = None,
) -> Walk:
    """Walks the tree of `model` on the target of `bench` until `limits` are met (without any, what of the
    model file's budget the target can judge).

    `leaves` are those to walk to (all of the model's in the tree without any).  Mismatches leave their bundles below
    `failures`; `vela_config` is only named in the winner's command.  Raises `BadInputError` for what cannot be meant,
    `InfrastructureError` when the target failed; a leaf that cannot be made is part of the result.
    """
    check_policy(policy)
    asked = limits_of(model, bench.target_name, {}).limits if limits is None else limits
    walker = _Walker(model, bench, asked, watcher or Watcher(), failures)
    plan = in_order(model, leaves)
    identity = _identity(bench)  # a target that cannot run is known before anything is trained
    walker.watcher.starts(model, bench, walker.limits, plan)
    done: list[Leaf] = []
    for name in plan:
        done.append(walker.leaf(name))
        if policy == "first" and done[-1].status is Status.MET:
            break
    verdict = _verdict(model, bench, policy, done, vela_config)
    trained, rest = tuple(walker.trained.values()), tuple(plan[len(done) :])
    return Walk(model.name, policy, walker.limits, identity, trained, tuple(done), rest, verdict)


def check_policy(policy: str) -> None:
    """Raises `BadInputError` for a policy that there is not."""
    if policy not in POLICIES:
        raise BadInputError(f"no policy {policy}", hint=f"there are: {', '.join(POLICIES)}")


def in_order(model: Model, leaves: Sequence[str] = ()) -> list[str]:
    """The leaves to walk to, level by level; raises `BadInputError` for one that the model has not."""
    if model.build is None:
        raise BadInputError(f"{model.name} came as an int8 file: it has no tree")
    known = leaves_of(model)
    for name in leaves:
        path_of(name)
        if name not in known:
            raise BadInputError(f"{model.name} has no leaf {name}", hint=f"it has: {', '.join(known)}")
    wanted = [name for name in known if (name in leaves if leaves else name not in OUTSIDE)]
    if not wanted:
        raise BadInputError(f"{model.name} has no leaf in the tree", hint=f"name one outside: {', '.join(known)}")
    return sorted(wanted, key=lambda name: len(training_node(PATHS[name])))


class _Walker:
    """One walk: what was trained, and what failed to."""

    def __init__(self, model: Model, bench: Bench, limits: Budget, watcher: Watcher, failures: Path | None) -> None:
        self.model, self.bench, self.limits = model, bench, limits
        self.watcher, self.failures = watcher, failures
        self.trained: dict[Node, Trained] = {}
        self._failed: dict[Node, HilError] = {}

    def leaf(self, name: str) -> Leaf:
        """Trains what is missing on the way to a leaf, and measures it."""
        path = path_of(name)
        node = training_node(path)
        self._train(())  # a base that cannot be made is nobody's leaf
        try:
            for length in range(1, len(node) + 1):
                self._train(node[:length])
            self.watcher.measuring(name)
            leaf = measured(self.bench, self.bench.deploy(self.model, name), self.limits, self.failures)
        except _OF_A_LEAF as error:
            leaf = Leaf(name, path, Status.FAILED, reason=str(error))
        self.watcher.walked(leaf)
        return leaf

    def _train(self, node: Node) -> None:
        if error := self._failed.get(node):
            raise error
        if node in self.trained:
            return
        self.watcher.training(node)
        try:
            artifact = self.bench.pipeline.keras(self.model, node)
        except _OF_A_LEAF as error:
            self._failed[node] = error
            raise
        self.trained[node] = Trained(node, float(artifact.manifest["seconds"]), artifact.anew)
        self.watcher.trained(self.trained[node])


def _identity(bench: Bench) -> dict[str, str]:
    """What the figures of all leaves depend on, beside the models."""
    vela = bench.vela
    return {
        "vela": vela_version(),
        "accelerator": vela.accelerator,
        "memory_mode": vela.memory_mode,
        "system_config": vela.system_config,
        "vela_options": " ".join(vela.options),
        "vela_config_sha256": digest(vela.config_text.encode()) if vela.config_text else "",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **bench.target.identity(),
        "target": bench.target_name,
    }


def _verdict(model: Model, bench: Bench, policy: str, leaves: list[Leaf], vela_config: Path | None) -> Verdict:
    met = [leaf for leaf in leaves if leaf.status is Status.MET]
    different = [leaf.name for leaf in leaves if leaf.status is Status.MISMATCH]
    if not met:
        reason = f"{_none(leaves)}{_closest(leaves)}"
    elif policy == "first":
        reason = f"{met[-1].name} is the first that meets every limit"
    else:
        reason = f"{len(met)} of {len(leaves)} leaves meet every limit, {min(met, key=_cost).name} is the fastest"
    if different:
        reason += f"; outputs on {bench.target_name} are not those of the reference: {', '.join(different)}"
    if not met:
        return Verdict(False, None, reason)
    winner = min(met, key=_cost).name
    commands = optimize_command(bench, model, winner), run_command(bench, model, winner, vela_config)
    return Verdict(not different, winner, reason, *commands)


def _cost(leaf: Leaf) -> tuple[float, float]:
    """Latency, then encoded weights; leaves without a latency by their encoded weights."""
    latency = leaf.figure("latency")
    return math.inf if latency is None else latency, leaf.figure("encoded_weights") or 0.0


def _none(leaves: list[Leaf]) -> str:
    return "no leaf meets every limit" if len(leaves) > 1 else f"{leaves[0].name} does not meet every limit"


def _closest(leaves: list[Leaf]) -> str:
    """The leaf whose worst limit is missed by the smallest share, if several were measured."""

    def share(leaf: Leaf) -> float:
        return max(check.over / abs(check.most) if check.most else math.inf for check in leaf.checks if not check.met)

    missed = [leaf for leaf in leaves if leaf.status is Status.MISSED]
    if len(missed) < 2 or math.isinf(share(closest := min(missed, key=share))):
        return ""
    return f"; {closest.name} comes closest"
