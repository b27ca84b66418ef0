"""The policy `best`: a search of leaves under other settings, within a number of trainings or minutes.

    found, ended = search(producer, model, plan, Effort(max_trainings=24))

- First the tree itself, level by level, at the recipe's own settings: as the policy `first`, to the first leaf that
  meets every limit, however many trainings it needs; then the other leaves, within the bounds.
- Then rounds.  A round starts from the Pareto front of accuracy drop, cycles and encoded weights, among the leaves that
  meet the limits and among all.  From each leaf on it, the search goes a step along each setting that the leaf uses, in
  both directions; from a leaf that misses a limit in one only: to less compression if the drop is too large, to more
  for any other limit.  The candidates of the round are those that were not tried yet.
- A step halves or doubles the share of weights that are not zero, or the number of clusters.  When such steps lead to
  no new candidate, half steps follow, then quarter steps.  Then the search ends.
- In a round, the candidate that needs the fewest trainings goes first: a candidate that shares nodes with earlier ones
  needs only the others.  Ties: neighbours of the fastest leaf that meets the limits, then more compression before less.

A training counts if its node is not in the store when a candidate first needs it; the base does not count.  A candidate
that needs more trainings than are left is skipped.  A round is chosen before any of it is made, so several processes
can make it.  Minutes are the wall time of this walk; when it is over, no candidate is begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hil.core.errors import BadInputError
from hil.harness.model import Model
from hil.harness.number_format import plural
from hil.harness.pareto_front import pareto_front
from hil.harness.tree.candidates import Candidate, SettledNode, candidate_of, with_settings
from hil.harness.tree.leaf_producer import LeafProducer
from hil.harness.tree.result import Leaf, LeafStatus, speed_figure

STEPS = (1.0, 0.5, 0.25)
"""Step sizes of the rounds, in binary orders of magnitude."""
AXES = ("sparsity", "clusters")


@dataclass(frozen=True)
class Effort:
    """Bounds of a search: trainings that are not in the store, minutes of this walk (None = no bound)."""

    max_trainings: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("max_trainings", self.max_trainings), ("max_minutes", self.max_minutes)):
            if most is not None and not (isinstance(most, int | float) and 0 < most < math.inf):
                raise BadInputError(f"{name} {most}: a number above 0")


def search(producer: LeafProducer, model: Model, leaves: Sequence[str], effort: Effort) -> tuple[list[Leaf], str]:
    """Searches, and returns every measured leaf in the order of the search, and what ended it."""
    searching = _Search(producer, model, effort)
    return searching.run(leaves), searching.ended()


def best_of(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Returns the Pareto front of the leaves that meet the limits; of all measured leaves if none does."""
    return _front([leaf for leaf in leaves if leaf.status is LeafStatus.MET]) or _front(leaves)


def _front(leaves: Sequence[Leaf]) -> list[Leaf]:
    measured = [leaf for leaf in leaves if leaf.status in (LeafStatus.MET, LeafStatus.MISSED)]
    known = [name for name in ("accuracy_drop", speed_figure(measured), "encoded_weights") if name]
    return [
        measured[place] for place in pareto_front([[_known(leaf.figure(name)) for name in known] for leaf in measured])
    ]


def cost(leaf: Leaf) -> tuple[float, float, float]:
    """Returns the sort key (latency, encoded weights, drop); the least leaf is on the Pareto front."""
    return _known(leaf.figure("latency")), leaf.figure("encoded_weights") or 0.0, _known(leaf.figure("accuracy_drop"))


def _known(figure: float | None) -> float:
    return math.inf if figure is None else figure


@dataclass
class _Search:
    producer: LeafProducer
    model: Model
    effort: Effort
    found: list[Leaf] = field(default_factory=list)
    _counted: set[SettledNode] = field(default_factory=set)
    _tried: set[Candidate] = field(default_factory=set)
    _skipped: set[Candidate] = field(default_factory=set)
    _over: bool = False

    def run(self, leaves: Sequence[str]) -> list[Leaf]:
        self._ends = math.inf if self.effort.max_minutes is None else time.monotonic() + 60 * self.effort.max_minutes
        tree = [Candidate(leaf) for leaf in leaves]
        self._as_first(tree)
        self._round(tree[len(self.found) :])
        step = 0
        while step < len(STEPS) and self._in_time():
            if not self._round(self._neighbours(STEPS[step])):
                step += 1
        return self.found

    def ended(self) -> str:
        """Returns what ended the search."""
        if self._over:
            return f"the {self.effort.max_minutes:g} minutes are over"
        if skipped := len(self._skipped - self._tried):
            most, new = self.effort.max_trainings or 0, len(self._counted)
            made = f"{new} {'was' if new == 1 else 'were'} not in the store"
            others = f"{skipped} more {'leaf needs' if skipped == 1 else 'leaves need'} others"
            return f"the limit of {most} {plural('training', most)}: {made}, {others}"
        return "no other settings are left to try"

    def _in_time(self) -> bool:
        self._over = time.monotonic() >= self._ends
        return not self._over

    def _as_first(self, tree: Sequence[Candidate]) -> None:
        """Measures the leaves of the tree up to the first that meets every limit; its trainings are beyond no bound."""
        for one in tree:  # before one is made: what several processes make ahead was not in the store
            self.producer.missing(one)
        self.producer.observer.leaves_chosen(tree, self.model)
        self.found += self.producer.leaves(tree, lambda leaf: leaf.status is LeafStatus.MET, self._in_time)
        for one in tree[: len(self.found)]:
            self._counted |= self._new(one)
            self._tried.add(one)

    def _round(self, candidates: Iterable[Candidate]) -> bool:
        """Measures the candidates that the bounds allow; returns whether there were any."""
        candidates = list(candidates)
        affordable = [one for one in candidates if self._takes(one)]
        self._skipped |= set(candidates) - set(affordable)
        self._tried |= set(affordable)
        self.producer.observer.leaves_chosen(affordable, self.model)
        found = self.producer.leaves(affordable, begins=self._in_time)
        self.found += found
        return bool(found)

    def _takes(self, one: Candidate) -> bool:
        new = self._new(one)
        if self.effort.max_trainings is not None and len(self._counted | new) > self.effort.max_trainings:
            return False
        self._counted |= new
        return True

    def _new(self, one: Candidate) -> set[SettledNode]:
        """Returns the trainings that a candidate adds."""
        return self.producer.missing(one) - self._counted

    def _neighbours(self, step: float) -> list[Candidate]:
        """Returns the untried candidates one step from the front, those with the fewest new trainings first."""
        fronts = {leaf.name: leaf for leaf in [*best_of(self.found), *_front(self.found)]}
        seeds = sorted(fronts.values(), key=lambda leaf: (leaf.status is not LeafStatus.MET, cost(leaf)))
        around = [one for seed in seeds for one in self._around(seed, step)]
        return sorted(
            dict.fromkeys(one for one in around if one not in self._tried), key=lambda one: len(self._new(one))
        )

    def _around(self, seed: Leaf, step: float) -> list[Candidate]:
        """Returns the candidates one step along each setting that a leaf uses."""
        found = []
        for name in AXES:
            now = dict(seed.settings).get(name, getattr(self.model.recipe, name))
            for way in _ways(seed):
                found.append(self._candidate(seed, {**dict(seed.settings), name: _along(name, now, way * step)}))
        return [one for one in found if one is not None and one.settings != seed.settings]

    def _candidate(self, seed: Leaf, settings: dict[str, float]) -> Candidate | None:
        try:
            with_settings(self.model, settings)
        except BadInputError:  # beyond what a recipe takes
            return None
        return candidate_of(self.model, seed.technique, tuple(sorted(settings.items())))


def _ways(leaf: Leaf) -> list[int]:
    """Returns the directions to search from a leaf: -1 is to more compression, 1 to less."""
    missed = {check.limit in ("max_accuracy_drop", "min_accuracy") for check in leaf.checks if not check.met}
    return [-1, 1] if len(missed) != 1 else [1 if missed.pop() else -1]


def _along(name: str, value: float, way: float) -> float:
    """Returns a setting `way` binary orders of magnitude away: clusters, or the share of weights that are not zero."""
    if name == "clusters":
        return round(value * 2**way)
    return round(1 - (1 - value) * 2**way, 2)
