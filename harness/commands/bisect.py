"""`hil bisect`: finds out by exchange how much of a change between two runs each part of them explains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hil.harness.commands import arguments
from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.attribution.attribution import Attribution


@arguments.with_declared
def bisect(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, latest, or the name of a baseline.")],
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The run to compare with, named the same ways.")],
    target: Annotated[
        str, typer.Option(help="Where the exchanges run: sim, or the target that both runs were made on.")
    ] = registry.DEFAULT,
    sessions: Annotated[int, typer.Option(min=1, help="Sessions of each exchange on a board that measures (1).")] = 1,
    results: arguments.ResultsUrl = None,
    deployment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Such as blobs-pqat; may be repeated. Else those that are worse, or changed."
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train with the settings of both recipes, exchanged one by one.")
    ] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Install another version of Vela in an environment of its own.")
    ] = False,
    files: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Further int8 files and Vela configurations; may be repeated."),
    ] = None,
    models: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    as_json: arguments.Json = False,
) -> None:
    """Say how much of a change each part explains: model, Vela and its options, accelerator, memories.

    The shares are stored with the run's verdicts, for `hil report`.
    """
    from hil.core.errors import BadInputError
    from hil.harness.attribution.attribution import Attributor
    from hil.harness.attribution.attribution_table import attribution_json
    from hil.harness.attribution.exchange_target import open_target
    from hil.harness.attribution.noise import stored_noise
    from hil.harness.attribution.selection import select
    from hil.harness.attribution.stored_inputs import StoredInputs
    from hil.harness.attribution.stored_shares import store_shares
    from hil.harness.model import find
    from hil.harness.pipeline import Pipeline
    from hil.harness.progress import LineProgress
    from hil.targets.declaration import Role

    declared = registry.declaration(target)
    options = registry.make_options([target], of_targets)[target]
    if sessions > 1 and declared.role is Role.STAND_IN:
        raise BadInputError(f"--sessions {sessions}: exchanges on {target} have no noise", hint="it is for a board")
    opened = arguments.open_recorded(results)
    ids = opened.run(run).id, opened.run(baseline).id
    pairs = select(opened, *ids, deployment or (), "" if declared.role is Role.STAND_IN else target)
    kept, progress = arguments.open_store(store), LineProgress()
    say = (lambda line: progress(line, 0, 0)) if install else None
    inputs, pipeline = StoredInputs(kept, files or (), say), Pipeline(kept, progress)
    find_model = (lambda name: find(name, models)) if retrain else None
    try:
        with open_target(declared, options, pipeline, sessions) as place:
            attributor = Attributor(pipeline, inputs, place, find_model, stored_noise(opened, *ids, sessions))
            found = [attributor.attribute(pair) for pair in pairs]
    finally:
        progress.close()
    if as_json:
        print(json.dumps({"run": ids[0], "baseline": ids[1], "deployments": list(map(attribution_json, found))}))
    else:
        print(_text(found, run, baseline))
    store_shares(opened, *ids, list(zip(pairs, found, strict=True)))


def _text(found: Sequence[Attribution], run: str, baseline: str) -> str:
    from hil.harness.attribution.attribution_table import format_attribution

    if not found:
        return f"no figure changed from {baseline} to {run}"
    return "\n\n".join([f"from {baseline} to {run}, by exchange", *map(format_attribution, found)])
