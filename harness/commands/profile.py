"""`hil profile MODEL`: where the cycles go, layer by layer, and what would move them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments, profiled_model
from hil.harness.vela.settings import VelaOptions
from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.profile.changes import Effect
    from hil.harness.profile.profile import Profile
    from hil.harness.profile.profiled_model import ProfiledModel
    from hil.harness.vela.settings import VelaSettings

_FORMATS = (".json", ".csv", ".html", ".png")


@arguments.with_declared
def profile(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An int8 model, a Vela output, or a model file (or its name).")
    ],
    technique: Annotated[
        str | None, typer.Option(metavar="NAME", help="Leaf of the deployment tree, of a model file (ptq).")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", metavar="FILE", help="Also write .json, .csv, .html or .png; may be repeated."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Compare layer by layer with another model, or with a profile.json."),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Every accelerator, memory mode, system configuration and --optimise.")
    ] = False,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the timeline as trace events, for Perfetto.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what would move the cycles, which compiles some more times.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Compilations at a time (one for each core).")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Measure the layers there, piece by piece: serial, with --board."),
    ] = None,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    vela: VelaOptions = arguments.VELA,
    models: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    as_json: arguments.Json = False,
) -> None:
    """Show where the cycles go, layer by layer, what bounds each, and what would move them."""
    from hil.harness.output_file import check_output
    from hil.harness.vela.compiler import check_options

    for path in output or ():
        check_output(path, "-o", _FORMATS)
    if trace:
        check_output(trace, "--trace")
    _refuse_beside("sweep", sweep, "a sweep has no layers", against=against, trace=trace, quick=quick, target=target)
    measured = {"against": against, "trace": trace, "quick": quick, "jobs": jobs}
    _refuse_beside("target", target, "on a target the layers alone are measured", **measured)
    _check_options(target, of_targets)
    settings = vela.settings()
    check_options(settings)
    loaded = profiled_model.load(model, technique, models, store)
    if sweep:
        from hil.harness.commands.profile_sweep import run_sweep

        run_sweep(loaded, vela, settings, output or [], jobs or 0, as_json=as_json)
        return
    with arguments.naming(loaded.name):
        settings = profiled_model.settings_for(loaded, vela, settings)
    if target:
        from hil.harness.commands.profile_measured import run_measured

        with arguments.naming(loaded.name):
            run_measured(loaded, settings, target, of_targets, output or [], as_json=as_json)
        return
    other = None if against is None else profiled_model.other_profile(against, vela, settings, models, store)
    _profile(loaded, settings, other, output or [], trace, jobs or 0, quick=quick, as_json=as_json)


def _profile(
    loaded: ProfiledModel,
    settings: VelaSettings,
    other: Profile | None,
    outputs: list[Path],
    trace: Path | None,
    jobs: int,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    from hil.harness.output_file import write_output
    from hil.harness.profile.changes import effect_record
    from hil.harness.profile.stored_profile import profile_record
    from hil.harness.profile.trace_events import trace_json

    found = profiled_model.profile(loaded, settings)
    if trace:
        write_output(trace, trace_json(found).encode())
    effects = () if quick or other or loaded.is_compiled or not found.cycles else _effects(loaded, settings, jobs)
    record = profile_record(found) | {"changes": [effect_record(effect, found) for effect in effects]}
    if other:
        record |= _compared(found, other)
    sentences = _sentences(found, effects)
    for path in outputs:
        write_output(path, _rendered(path, found, other, record, sentences))
    if as_json:
        print(json.dumps(record))
    else:
        _show(found, other, sentences)


def _effects(loaded: ProfiledModel, settings: VelaSettings, jobs: int) -> tuple[Effect, ...]:
    from hil.harness.profile.changes import effects, possible_changes

    return effects(possible_changes(loaded.data, settings, loaded.techniques), loaded.name, jobs)


def _sentences(found: Profile, effects: tuple[Effect, ...]) -> list[str]:
    from hil.harness.profile.changes import effect_sentence

    sentence = effect_sentence(found, effects)
    return [sentence] if sentence else []


def _compared(found: Profile, other: Profile) -> dict[str, Any]:
    from hil.harness.profile.comparison import compare, pair_record
    from hil.harness.profile.stored_profile import profile_record

    return {"against": profile_record(other), "pairs": [pair_record(pair) for pair in compare(found, other)]}


def _show(found: Profile, other: Profile | None, sentences: list[str]) -> None:
    from hil.harness.profile.comparison import comparison_lines
    from hil.harness.profile.text_report import report

    lines = comparison_lines(found, other) if other else report(found, sentences)
    sys.stdout.write("\n".join([*lines, ""]))


def _rendered(path: Path, found: Profile, other: Profile | None, record: dict[str, Any], sentences: list[str]) -> bytes:
    """The file's content, by its suffix."""
    from hil.harness.profile.comparison import compare, pair_record
    from hil.harness.profile.csv_file import csv_text, profile_csv
    from hil.harness.profile.page import comparison_page, profile_page
    from hil.harness.profile.picture import profile_png

    kind = path.suffix.lower()
    if kind == ".json":
        return json.dumps(record, indent=1).encode()
    if kind == ".png":
        return profile_png(found)
    if kind == ".csv":
        text = csv_text([pair_record(pair) for pair in compare(found, other)]) if other else profile_csv(found)
        return text.encode()
    return (comparison_page(found, other) if other else profile_page(found, sentences)).encode()


def _check_options(target: str | None, of_targets: dict[str, Any]) -> None:
    """Raises `BadInputError` for an option that the target has not, and for any where nothing runs."""
    from hil.core.errors import BadInputError

    if target:
        registry.make_options([target], of_targets)
        return
    for _, option, _ in registry.given_options(of_targets):
        hint = "the layers are modelled, and nothing runs; --target serial --board NAME measures them"
        raise BadInputError(f"{option} has no effect without --target", hint=hint)


def _refuse_beside(option: str, chosen: object, why: str, **given: Any) -> None:
    from hil.core.errors import BadInputError

    for name, value in given.items():
        if chosen and value:
            raise BadInputError(f"--{name} has no effect beside --{option}", hint=why)
