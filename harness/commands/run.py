"""`hil run MODEL.tflite --target T`: runs one model on one target, arrays in, arrays and figures out."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments, unused_options
from hil.harness.commands.inputs import random_inputs, read_inputs
from hil.harness.commands.runnable import check_takes_programs, read_runnable, target_of
from hil.harness.vela.settings import VelaOptions
from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.vela.settings import VelaSettings
    from hil.targets.base import Deployable, Run
    from hil.targets.execution.signature import Signature


@arguments.with_declared
def run(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.tflite", help="An int8 model, a Vela output, or a .pte (ExecuTorch).")
    ],
    target: arguments.TargetOfFile = None,
    inputs: arguments.Inputs = None,
    outputs: Annotated[
        Path | None, typer.Option(metavar="OUT.npz", help="Outputs as the model gives them, by tensor name.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="How many random samples, without --inputs (1).")] = None,
    vela: VelaOptions = arguments.VELA,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    cpu: arguments.Cpu = False,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Run a model on a target."""
    from hil.core.errors import BadInputError
    from hil.harness.leaves import GIVEN
    from hil.harness.output_file import check_output
    from hil.harness.results.recording import Recording
    from hil.harness.results.records import DeploymentRecord, FigureRecord, MissingRecord
    from hil.harness.store.store import default_root
    from hil.targets.declaration import File
    from hil.targets.execution.signature import require_runnable

    if outputs:
        check_output(outputs, "--outputs", (".npz", ""), [model, inputs])
    unused_options.refuse_beside_inputs(inputs, samples=samples)
    if target is not None:
        registry.declaration(target)  # a wrong name is known before the file is read
    data, signature, is_program = read_runnable(model)
    target = target or target_of(is_program)
    declared = registry.declaration(target)
    if is_program:
        check_takes_programs(declared, model)
    made = registry.make(declared, registry.make_options([target], of_targets)[target], default_root())
    require_runnable(signature, str(model))
    settings = _settings(vela, data, signature)
    if cpu and signature.compiled:
        raise BadInputError(f"--cpu: {model} is compiled for the NPU", hint="give the int8 model")
    compiled = not cpu and File.COMPILED in declared.takes
    if File.COMPILED not in declared.takes:
        unused_options.warn_vela(vela, f"{target} runs the int8 model as it is, nothing is compiled")
    elif cpu or signature.compiled:
        why = "--cpu compiles nothing" if cpu else f"{model} is compiled already"
        unused_options.warn_vela(vela, why, only=("vela-option",))
    arrays = read_inputs(signature, inputs) if inputs else random_inputs(signature, samples or 1)
    deployable = _deployable(data, signature, settings, str(model), compiled=compiled)
    from hil.harness.progress import LineProgress
    from hil.harness.work_titles import run_title

    recording = Recording.of(results, "hil run")
    progress = LineProgress()
    title = run_title(model, target)
    named = arguments.naming(str(model))
    with contextlib.closing(made), contextlib.closing(progress), recording.session(made), named:
        result = made.run(deployable, arrays, progress=lambda done, total: progress(title, done, total))
    if outputs:
        _write_outputs(signature, outputs, result)
    compiled_here = deployable.int8 is not None and deployable.compiled is not None
    assumed = _assumed_memories(signature, result, settings)
    _tell_assumed(model, vela, assumed)
    record = _record(target, signature, result, data, settings, assumed, compiled_here=compiled_here)
    print(json.dumps(record) if as_json else format_run(str(model), record))
    deployment = DeploymentRecord(model.stem, model.stem, GIVEN, target, record["identity"])
    figures = [FigureRecord.of(found) for found in result.measurements]
    recording.deployment(deployment, figures, [MissingRecord.of(found) for found in result.missing])
    if code := recording.finish(0):
        raise typer.Exit(code)


def _settings(vela: VelaOptions, data: bytes, signature: Signature) -> VelaSettings:
    """The settings of Vela; a Vela output was made for an accelerator of its own."""
    from hil.targets.execution.placement import accelerator_of

    if signature.compiled and vela.accelerator is None:
        vela = replace(vela, accelerator=accelerator_of(data).name)
    return vela.settings()


def _deployable(data: bytes, signature: Signature, settings: VelaSettings, name: str, *, compiled: bool) -> Deployable:
    from hil.harness.progress import LineProgress
    from hil.harness.vela.compiler import compile_model
    from hil.targets.base import Deployable

    if signature.compiled:
        return Deployable(None, data, settings)
    if not compiled:
        return Deployable(data, None, settings)
    with contextlib.closing(LineProgress()) as progress:
        made = compile_model(data, settings, name=name, mapped=False, say=progress).model
    return Deployable(data, made, settings)


def _write_outputs(signature: Signature, path: Path, result: Run) -> None:
    import io

    import numpy as np

    from hil.harness.output_file import write_output

    found = result.outputs or result.printed
    arrays = {spec.name: output for spec, output in zip(signature.outputs, found, strict=True)}
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_output(path, content.getvalue())


def _record(
    target: str,
    signature: Signature,
    result: Run,
    data: bytes,
    settings: VelaSettings,
    assumed: Mapping[str, str],
    *,
    compiled_here: bool,
) -> dict[str, Any]:
    from hil.core.artifact_manifest import digest
    from hil.harness.vela.compiler import vela_version

    outputs = [
        {"name": spec.name, "shape": list(output.shape), "dtype": output.dtype.name}
        for spec, output in zip(signature.outputs, result.outputs or result.printed, strict=True)
    ]
    measurements = [found.as_json() for found in result.measurements]
    identity = {"target": target, "model_sha256": digest(data)}
    if compiled_here:
        identity |= {"vela": vela_version(), **settings.identity()}
    elif signature.compiled:
        identity |= {"vela": "unknown: the model came compiled", **assumed}
    identity |= {key: value for key, value in result.identity.items() if value}
    missing = [found.as_json() for found in result.missing]
    return {"outputs": outputs, "measurements": measurements, "missing": missing, "identity": identity}


def _assumed_memories(signature: Signature, result: Run, settings: VelaSettings) -> dict[str, str]:
    """The memories that modelled cycles of a compiled file assume: it names its accelerator alone."""
    from hil.core.measurement import Trust

    if not signature.compiled or all(found.trust is not Trust.MODELLED for found in result.measurements):
        return {}
    return {"memory_mode": settings.memory_mode, "system_config": settings.system_config}


def _tell_assumed(model: Path, vela: VelaOptions, assumed: Mapping[str, str]) -> None:
    """Names on stderr the memories that were assumed and that no option names."""
    unnamed = {name: value for name, value in assumed.items() if not getattr(vela, name)}
    if unnamed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in unnamed)
        print(
            f"{model} does not say which memories it was compiled for: cycles and time assume "
            f"{' and '.join(unnamed.values())} ({options})",
            file=sys.stderr,
        )


def format_run(model: str, record: Mapping[str, Any]) -> str:
    """Formats the measurements, the outputs, and the identity of a run."""
    from hil.harness.number_format import fixed
    from hil.harness.text_table import Column, Row, format_table, wrap

    identity = record["identity"]
    columns = [Column("figure"), Column("value", number=True), Column("unit"), Column("trust"), Column("note")]
    rows = []
    for found in record["measurements"]:
        value = fixed([found["value"]])[0] if found["value"] % 1 else f"{int(found['value']):,}"
        rows.append(Row([found["name"], value, found["unit"], found["trust"], found["note"]]))
    rows += [Row([found["name"], "none", "", found["reason"], found["note"]]) for found in record["missing"]]
    for output in record["outputs"]:
        rows.append(Row([f"output {output['name']}", str(output["shape"]), output["dtype"], "exact", ""]))
    table = format_table(columns, rows, title=f"{model} on {identity['target']}")
    return "\n".join([table, *wrap(", ".join(f"{key} {value}" for key, value in identity.items()))])
