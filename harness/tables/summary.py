"""Mean and spread of a model's leaves over seeds.

    table = summarize(model, found, ["ptq", "pcqat"], "hil tables models/net.py")
    table.rows[0].figures["encoded_weights"].mean, table.rows[0].figures["encoded_weights"].deviation

The interval of the drop is the mean of the seeds' paired 95 % intervals over test samples.  All seeds have the same
test samples, so their number does not narrow it.  The deviation over seeds stands beside it.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hil.harness.model import Model, Scale
from hil.harness.number_format import plural
from hil.harness.optimize.paths import PATHS
from hil.harness.tables.published import PublishedRow, published_rows
from hil.harness.tables.seed_figures import LeafFigures, SeedFigures
from hil.harness.tables.seed_run import Found

SMALLER = "smaller"
"""Derived figure: encoded weights of `ptq` of the same seed, divided by the leaf's."""


@dataclass(frozen=True)
class Statistic:
    """Values over seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1); None with one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class LeafRow:
    """A leaf over the seeds that have it.

    `figures` and `cycles` are by name and NPU, `steps` counts training steps after the base, `remarks` are the reasons
    of seeds without figures; `stale` if a seed's figures are.
    """

    leaf: str
    seeds: tuple[int, ...]
    figures: dict[str, Statistic]
    cycles: dict[str, Statistic]
    steps: int
    remarks: tuple[str, ...] = ()
    stale: bool = False


@dataclass(frozen=True)
class ModelTable:
    """A model's leaves over seeds, published figures of its network, and the command that makes the table.

    With `has_accuracy` False the base learned nothing, and accuracies mean nothing.  `trained_s` is the wall time of
    all trainings, in seconds; 0 if a file of figures lacks it.
    """

    model: Model
    caption: str
    seeds: tuple[int, ...]
    metric: str
    scale: Scale
    has_accuracy: bool
    base: str
    target: str
    machines: tuple[str, ...]
    trained_s: float
    rows: tuple[LeafRow, ...]
    published: tuple[PublishedRow, ...]
    command: str


def summarize(model: Model, found: Sequence[Found], leaves: Sequence[str], command: str) -> ModelTable:
    """Summarizes `leaves` of a model's seeds, of which there is at least one."""
    found = [_with_leaves(one, leaves) for one in found]
    every = [one.figures for one in found]
    names = [name for name in PATHS if any(name in one.leaves for one in every)]
    return ModelTable(
        model=model,
        caption=caption_of(model),
        seeds=tuple(one.seed for one in every),
        metric=every[0].metric,
        scale=every[0].scale,
        has_accuracy=not any(one.learned_nothing for one in every),
        base=_base(model, every[0]),
        target=every[0].made_of.get("target", ""),
        machines=tuple(dict.fromkeys(_machine(one) for one in every)),
        trained_s=sum(one.trained_s for one in every) if all(one.trained_s for one in every) else 0.0,
        rows=tuple(_row(name, found) for name in names),
        published=published_rows(model.name),
        command=command,
    )


def _with_leaves(found: Found, leaves: Sequence[str]) -> Found:
    kept = {name: leaf for name, leaf in found.figures.leaves.items() if name in leaves}
    return replace(found, figures=replace(found.figures, leaves=kept))


def caption_of(model: Model) -> str:
    """Returns the first paragraph of the model file's docstring, in one line."""
    text = ast.get_docstring(ast.parse(model.path.read_bytes())) or model.name
    return " ".join(text.split("\n\n")[0].split())


def _base(model: Model, figures: SeedFigures) -> str:
    """Says how the float base came about."""
    if "weights" in figures.made_of or model.keras_file is not None:
        return "the float base is read from a file, the same for all seeds"
    if not figures.base_steps:
        return "the float base has the weights of its initializer"
    epochs, steps = model.recipe.base.epochs, figures.base_steps
    return f"the float base is trained anew with each seed: {epochs} {plural('epoch', epochs)}, {steps:,} steps"


def _machine(figures: SeedFigures) -> str:
    made = dict(figures.made_on)
    threads = made.get("threads", "1")
    return f"{made.get('cpu', 'unknown CPU')}, {threads} thread{'s' * (threads != '1')}"


def _row(name: str, found: Sequence[Found]) -> LeafRow:
    having = [one for one in found if name in one.figures.leaves]
    leaves = [one.figures.leaves[name] for one in having]
    whole = [(one, leaf) for one, leaf in zip(having, leaves, strict=True) if not leaf.reason]
    figures = _statistics([{**leaf.figures, **_smaller(one.figures, leaf)} for one, leaf in whole])
    cycles = _statistics([leaf.cycles for _, leaf in whole])
    remarks = tuple(
        f"seed {one.figures.seed}: {leaf.reason}" for one, leaf in zip(having, leaves, strict=True) if leaf.reason
    )
    seeds = tuple(one.figures.seed for one in having)
    return LeafRow(name, seeds, figures, cycles, leaves[0].steps, remarks, any(name in one.stale for one in having))


def _smaller(figures: SeedFigures, leaf: LeafFigures) -> dict[str, float]:
    ptq = figures.leaves.get("ptq")
    if ptq is None or "encoded_weights" not in ptq.figures or not leaf.figures.get("encoded_weights"):
        return {}
    return {SMALLER: ptq.figures["encoded_weights"] / leaf.figures["encoded_weights"]}


def _statistics(by_seed: Sequence[Mapping[str, float]]) -> dict[str, Statistic]:
    """Returns the statistics of the names that every seed has."""
    names = [name for name in (by_seed[0] if by_seed else {}) if all(name in one for one in by_seed)]
    return {name: Statistic(tuple(float(one[name]) for one in by_seed)) for name in names}
