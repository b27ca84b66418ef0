"""`hil tree MODEL`: walks the deployment tree, level by level, until a leaf meets every limit on the target."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hil.core.errors import EXIT_GATE
from hil.harness.commands import arguments, unused_options
from hil.harness.vela.settings import VelaOptions
from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.tree.result import Walk


@arguments.with_declared
def tree(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from the models folder, or a model file.")],
    max_accuracy_drop: Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Against the float base; 0.01 is one point.")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(metavar="VALUE", help="Of the int8 model, in the metric's own unit.")
    ] = None,
    max_latency_ms: Annotated[float | None, typer.Option(metavar="MS", help="Of one inference on the target.")] = None,
    max_sram: Annotated[
        str | None, typer.Option(metavar="SIZE", help="As Vela places it: bytes, or with KiB or MiB.")
    ] = None,
    max_flash: Annotated[str | None, typer.Option(metavar="SIZE", help="As Vela places it.")] = None,
    max_model_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Of the int8 .tflite file.")] = None,
    policy: Annotated[
        str,
        typer.Option(
            help="first: stop at the first leaf that meets all limits; all: measure every leaf; "
            "best: go on to other settings."
        ),
    ] = "first",
    max_trainings: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Bounds best: trainings that are not in the store.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Bounds best: after them nothing more is begun.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that train at a time; at most one a core.")
    ] = 1,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers train (extra cluster).")
    ] = "",
    technique: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this leaf; may be repeated.")
    ] = None,
    target: arguments.Target = registry.DEFAULT,
    samples: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Samples that run on the target ({registry.default_samples()})."),
    ] = None,
    vela: VelaOptions = arguments.VELA,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    models: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    threads: arguments.Threads = None,
    reproducible: arguments.Reproducible = False,
    output: Annotated[
        list[Path] | None, typer.Option("-o", metavar="FILE", help="Draw it: .html or .png; may be repeated.")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(metavar="LAYER", help="Whose kernel the picture follows (the largest touched).")
    ] = None,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Walk the deployment tree until a leaf meets the limits; without any, the model file's budget holds."""
    from hil.harness.compute import choose_compute
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.evaluation.limits import limits_of, parse_size
    from hil.harness.model import find
    from hil.harness.pipeline import Pipeline
    from hil.harness.results.recording import Recording
    from hil.harness.tree import pictures
    from hil.harness.tree.recorded_walk import RecordedWalk
    from hil.harness.tree.settings_search import Effort
    from hil.harness.tree.terminal_view import create_view
    from hil.harness.tree.walk import check_policy, leaves_in_order, walk
    from hil.harness.vela.compiler import check_options

    pictures.check_outputs(output or (), kernel)
    effort = Effort(max_trainings, max_minutes)
    check_policy(policy, effort)
    settings = vela.settings()
    check_options(settings)
    options = registry.make_options([target], of_targets)[target]  # before anything is trained for it
    compute = choose_compute(threads, reproducible=reproducible)
    unused_options.refuse_models_folder(model, models)
    found = find(model, models)
    leaves = tuple(technique or ())
    leaves_in_order(found, leaves)
    sizes = {"max_sram_bytes": max_sram, "max_flash_bytes": max_flash, "max_model_bytes": max_model_size}
    numbers = {"max_accuracy_drop": max_accuracy_drop, "min_accuracy": min_accuracy, "max_latency_ms": max_latency_ms}
    given = {name: parse_size(text) for name, text in sizes.items() if text is not None}
    given |= {name: number for name, number in numbers.items() if number is not None}
    asked = limits_of(found, target, given)
    recording = Recording.of(results, "hil tree")
    observer = create_view(as_json=as_json)
    pipeline = Pipeline(arguments.open_store(store), observer, compute=compute)
    evaluator = Evaluator(pipeline, target, settings, samples, options)
    with contextlib.closing(evaluator.target), observer, recording.session(evaluator.target):
        if asked.left_out:
            observer.say(asked.left_out)
        pictures.check_kernel(evaluator, found, kernel)
        walked = walk(
            *(found, evaluator, asked.limits),
            policy=policy,
            leaves=leaves,
            effort=effort,
            jobs=jobs,
            scheduler=scheduler,
            observer=RecordedWalk(observer, recording),
            failures=Path.cwd(),
            vela_config=vela.vela_config,
        )
    print(json.dumps(walked.record())) if as_json else _show(walked)
    shown = pictures.kernel_of(evaluator, found, walked, kernel) if output else None
    for path in output or ():
        pictures.write(path, walked, shown)
        print(f"drawn: {path}", file=sys.stderr if as_json else sys.stdout)
    if code := recording.finish(0 if walked.verdict.met else EXIT_GATE):
        raise typer.Exit(code)


def _show(walked: Walk) -> None:
    from hil.harness.text_table import shown_columns, wrap
    from hil.harness.tree.legend import legend
    from hil.harness.tree.text_report import format_table, layer_notes, leaf_table, verdict_lines

    remarks, notes = layer_notes(walked), legend(walked, shown_columns(*leaf_table(walked)))
    texts = ["", *notes, *([""] if notes else []), *remarks, *([""] if remarks else []), *verdict_lines(walked)]
    commands = (walked.verdict.optimize, walked.verdict.run)  # each stays in a line, to be copied
    print(format_table(walked))
    for text in texts:
        indent = "    " if text.startswith(" ") else "  "
        print("\n".join([text] if text.strip() in commands else wrap(text, indent=indent)))
