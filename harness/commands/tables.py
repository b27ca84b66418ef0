"""`hil tables MODEL ...`: accuracy, sizes and cycles of every leaf over seeds, beside published figures."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.commands import arguments
from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.model import Model
    from hil.harness.tables.summary import ModelTable

FIGURES = Path("docs/tables")


@arguments.with_declared
def tables(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Names from the models folder, or files.")],
    seeds: Annotated[list[int] | None, typer.Option("--seed", min=0, help="A seed; may be repeated (0).")] = None,
    technique: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this leaf; may be repeated (the whole tree).")
    ] = None,
    figures: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Figures by model and seed, from which tables resume.")
    ] = FIGURES,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Make the figures that are missing or stale, or do not.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Make figures again that other code or libraries made.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that train at a time; at most one a core.")
    ] = 1,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers train (extra cluster).")
    ] = "",
    target: arguments.Target = registry.DEFAULT,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    folder: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    threads: arguments.Threads = None,
    reproducible: arguments.Reproducible = False,
    output: Annotated[
        list[Path] | None, typer.Option("-o", metavar="FILE", help="Write .md, .html or .json; may be repeated.")
    ] = None,
    as_json: arguments.Json = False,
) -> None:
    """Make tables of models over seeds: accuracy, sizes and cycles of every leaf, beside published figures."""
    from hil.harness.compute import choose_compute
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import find
    from hil.harness.output_file import check_output, write_output
    from hil.harness.pipeline import Pipeline
    from hil.harness.tables.report import FORMATS, render
    from hil.harness.tables.seed_run import Request, complete_figures
    from hil.harness.tables.summary import summarize
    from hil.harness.tree.terminal_view import create_view
    from hil.harness.tree.walk import leaves_in_order
    from hil.harness.vela.settings import VelaSettings

    if figures.exists() and not figures.is_dir():
        raise BadInputError(f"--figures {figures} is no folder")
    for path in output or ():
        check_output(path, "-o", FORMATS, list(figures.glob("*.json")))
        if path.suffix.lower() == ".json" and path.resolve().parent == figures.resolve():
            raise BadInputError(f"-o {path} lies among the figures", hint="name another folder")
    options = registry.make_options([target], of_targets)[target]
    found = list({model.path: model for model in (find(name, folder) for name in models)}.values())
    seeds = list(dict.fromkeys(seeds or [0]))
    leaves = [leaves_in_order(model, tuple(technique or ())) for model in found]
    view = create_view(as_json=as_json)
    pipeline = Pipeline(arguments.open_store(store), view, compute=choose_compute(threads, reproducible=reproducible))
    evaluator = Evaluator(pipeline, target, VelaSettings(), options=options)
    request = Request(evaluator, figures, view, jobs, scheduler, measure, again)
    made: list[ModelTable] = []
    with contextlib.closing(evaluator.target), view:
        for model, names in zip(found, leaves, strict=True):
            every = [complete_figures(request, model, seed, names) for seed in seeds]
            if known := [one for one in every if one is not None]:
                having = [one.figures.seed for one in known]
                command = _command([model], having, technique or (), figures, target, measure=True)
                made.append(summarize(model, known, names, command))
    if not made and not measure:
        raise BadInputError(f"{figures} has no figures to make tables of", hint="without --no-measure they are made")
    if not made:
        raise UnavailableError("there are no figures to make tables of", hint="hil models says what data is missing")
    command = _command(
        [table.model for table in made], seeds, technique or (), figures, target, output, measure=measure
    )
    for path in output or ():
        write_output(path, render(made, command, path.suffix.lower()).encode())
        print(f"written: {path}", file=sys.stderr)
    print(render(made, command, ".json" if as_json else "").rstrip())


def _command(
    models: Sequence[Model],
    seeds: Sequence[int],
    techniques: Sequence[str],
    figures: Path,
    target: str,
    outputs: Sequence[Path] | None = None,
    *,
    measure: bool,
) -> str:
    """Returns the command that makes the tables of `models`, with the options that decide what they hold."""
    here = Path.cwd()
    paths = [model.path.relative_to(here) if model.path.is_relative_to(here) else model.path for model in models]
    words = [word for seed in seeds for word in ("--seed", str(seed))]
    words += [word for name in techniques for word in ("--technique", name)]
    words += ["--figures", str(figures)] if figures != FIGURES else []
    words += ["--target", target] if target != registry.DEFAULT else []
    words += [] if measure else ["--no-measure"]
    words += [word for path in outputs or () for word in ("-o", str(path))]
    return shlex.join(["hil", "tables", *map(str, paths), *words])
