"""Completion of a model's figures with one seed: leaves that a file lacks, or that are stale there, are measured.

    figures = complete_figures(request, model, seed=0, leaves=["ptq", "pcqat"])

A leaf is stale where network, data, settings or target have changed (`hil.harness.tables.made_of`): a line says so, and
it is made again.  Figures that other code or other libraries made stay, which a line says, until a leaf is missing or
they are wanted again: a file has figures of one code.  The store holds every training, so an interrupted run goes on
behind the last one.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.leaves import unavailable
from hil.harness.model import Budget, Model
from hil.harness.optimize.paths import Node, training_node
from hil.harness.optimize.training import TrainingPlan
from hil.harness.profile.modelled_cost import Setting, costs
from hil.harness.results.origin import cpu_name
from hil.harness.tables.made_of import changes, made_earlier, other_experiment, today_made_of, today_settings
from hil.harness.tables.seed_figures import LeafFigures, SeedFigures, figures_path, read_figures, write_figures
from hil.harness.tree.result import Leaf, LeafStatus
from hil.harness.tree.terminal_view import View
from hil.harness.tree.walk import walk
from hil.harness.vela.settings import VelaSettings

FAST, FLASH_BOUND = "Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded"
NPUS = tuple(
    VelaSettings(accelerator, system_config=system)
    for accelerator in ("ethos-u55-128", "ethos-u55-256")
    for system in (FAST, FLASH_BOUND)
)
"""NPUs whose cycles are modelled: with weights in a fast flash, and in a slow one."""
FIGURES = (
    *("base_accuracy", "keras_accuracy", "accuracy", "accuracy_drop", "accuracy_drop_low", "accuracy_drop_high"),
    *("tflite", "zip", "gzip", "encoded_weights", "sram", "flash", "zeros", "unique", "sqnr"),
    *("mismatches", "sim_mismatches"),
)
"""Figures of a leaf that a file keeps."""


@dataclass(frozen=True)
class Request:
    """Options of a run: target and pipeline, folder of figures, processes or dask scheduler, and where it is shown.

    Without `measures`, nothing is measured: figures are as the files have them.  With `again`, those are stale that
    other code or other libraries made.
    """

    evaluator: Evaluator
    folder: Path
    view: View
    jobs: int = 1
    scheduler: str = ""
    measures: bool = True
    again: bool = False


def npu_name(npu: VelaSettings) -> str:
    """Returns the name of an NPU with its system configuration, under which a file has its cycles."""
    return f"{npu.accelerator} {npu.system_config}"


@dataclass(frozen=True)
class Found:
    """Figures of a seed, with the names of the leaves in them that are stale."""

    figures: SeedFigures
    stale: tuple[str, ...] = ()


def complete_figures(request: Request, model: Model, seed: int, leaves: Sequence[str]) -> Found | None:
    """Returns the figures of a seed with those of `leaves`; None if there are none and none can be made."""
    model = replace(model, recipe=replace(model.recipe, seed=seed))
    path, title = figures_path(request.folder, model.name, seed), f"{model.name}, seed {seed}"
    known, today = read_figures(path), today_made_of(request.evaluator, model)
    stale, why = _stale(model, known, today)
    earlier = made_earlier(today, known.made_of) if known else []
    wanted = request.again or (request.measures and not _has(known, leaves, stale))
    if known and earlier and wanted:  # one file has figures of one code
        stale, why = tuple(known.leaves), "; ".join(earlier)
    if stale:
        request.view.say(f"{title}: stale: {', '.join(stale)} ({why})")
    elif earlier:
        request.view.say(f"{title}: made earlier ({'; '.join(earlier)}); --again makes the figures again")
    missing = [name for name in leaves if not _has(known, [name], stale)]
    hindrance = unavailable(model) if request.measures else "not measured"
    if not missing or hindrance:
        request.view.say(f"{title}: {hindrance}: {', '.join(missing)}" if missing else f"{title}: figures in {path}")
        return None if known is None else Found(known, stale)
    made = _measured(request, model, missing, today)
    kept = {} if known is None else {name: leaf for name, leaf in known.leaves.items() if name not in stale}
    made = replace(made, leaves={**kept, **made.leaves})
    write_figures(path, made)
    return Found(made)


def _has(known: SeedFigures | None, leaves: Sequence[str], stale: Sequence[str]) -> bool:
    return known is not None and all(name in known.leaves and name not in stale for name in leaves)


def _stale(model: Model, known: SeedFigures | None, today: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Returns the leaves of a file that are those of another experiment, and the reason."""
    if known is None:
        return (), ""
    if changed := other_experiment(today, known.made_of):
        return tuple(known.leaves), "; ".join(changed)
    by_leaf = {name: changes(today_settings(model, name), leaf.settings) for name, leaf in known.leaves.items()}
    stale = tuple(name for name, changed in by_leaf.items() if changed)
    return stale, "other settings"


def _measured(request: Request, model: Model, leaves: Sequence[str], made_of: Mapping[str, str]) -> SeedFigures:
    bench = request.evaluator
    found = walk(
        *(model, bench, Budget()),
        policy="all",
        leaves=leaves,
        jobs=request.jobs,
        scheduler=request.scheduler,
        observer=request.view,
    )
    cycles = _cycles(bench, model, [leaf for leaf in found.leaves if leaf.status is LeafStatus.MET])
    samples = len(bench.pipeline.samples(model, "train"))
    trained = model.weights is None and model.keras_file is None
    return SeedFigures(
        model=model.name,
        seed=model.recipe.seed,
        metric=bench.pipeline.learning_task(model).metric,
        scale=found.scale,
        learned_nothing=found.base is not None and found.base.learned_nothing,
        samples=samples,
        base_steps=_steps(model, "base", samples) if trained else 0,
        made_of=made_of,
        made_on=_machine(request),
        leaves={leaf.name: _leaf(bench, model, leaf, samples, cycles.get(leaf.name, {})) for leaf in found.leaves},
    )


def _leaf(bench: Evaluator, model: Model, leaf: Leaf, samples: int, cycles: dict[str, int]) -> LeafFigures:
    figures = {name: value for name in FIGURES if (value := leaf.figure(name)) is not None}
    trainings = [step for step in training_node(leaf.path) if step != "fold"]
    steps = sum(_steps(model, step, samples) for step in trainings)
    trained_s = {} if leaf.reason else _trained_s(bench, model, training_node(leaf.path))
    return LeafFigures(today_settings(model, leaf.name), steps, figures, cycles, leaf.reason, trained_s)


def _trained_s(bench: Evaluator, model: Model, node: Node) -> dict[str, float]:
    """Returns the seconds that each training on the way to a node took when it was made, by node."""
    nodes = [node[:length] for length in range(len(node) + 1)]
    return {"/".join(("base", *one)): bench.pipeline.keras(model, one).seconds for one in nodes}


def _steps(model: Model, step: str, samples: int) -> int:
    recipe = model.recipe
    return TrainingPlan(recipe.fine_tune(step), recipe.batch_size, recipe.seed).steps(samples)


def _cycles(bench: Evaluator, model: Model, leaves: Sequence[Leaf]) -> dict[str, dict[str, int]]:
    """Returns the modelled cycles by leaf and NPU, of leaves that run on the NPU alone."""
    files = [bench.deploy(model, leaf.name).int8 for leaf in leaves]
    places = [(leaf.name, npu) for leaf in leaves for npu in NPUS]
    found: dict[str, dict[str, int]] = {leaf.name: {} for leaf in leaves}
    wanted = [Setting(int8, npu) for int8 in files for npu in NPUS]
    for place, cost in sorted(costs(wanted, model.name), key=lambda done: done[0]):
        name, npu = places[place]
        if not isinstance(cost, str) and not cost.cpu_operators:
            found[name][npu_name(npu)] = cost.cycles
    return found


def _machine(request: Request) -> dict[str, str]:
    compute = {name: str(value) for name, value in request.evaluator.pipeline.compute.settings().items()}
    return {"cpu": cpu_name(), "python": platform.python_version(), **compute}
