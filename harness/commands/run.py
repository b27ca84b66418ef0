"""`hil run MODEL.tflite --target T`: one model on one target, arrays in, arrays and figures out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments
from hil.harness.commands.inputs import random_inputs, read_inputs

if TYPE_CHECKING:
    from hil.harness.vela.settings import VelaSettings
    from hil.targets.base import Deployable, Run
    from hil.targets.execution.signature import Signature


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 model, or a Vela output.")],
    target: Annotated[str, typer.Option(help="Where it runs: host, sim, fvp or serial.")] = "sim",
    inputs: arguments.Inputs = None,
    outputs: Annotated[Path | None, typer.Option(metavar="OUT.npz", help="Quantized outputs, by tensor name.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many random samples, without --inputs.")] = 1,
    accelerator: Annotated[
        str | None, typer.Option(help="Vela's accelerator configuration (ethos-u55-128, or what the model is for).")
    ] = None,
    memory_mode: arguments.MemoryMode = "Shared_Sram",
    system_config: arguments.SystemConfig = "Ethos_U55_High_End_Embedded",
    vela_config: arguments.VelaConfig = None,
    vela_option: arguments.VelaOption = None,
    engine: arguments.Engine = "auto",
    fvp_executable: arguments.FvpExecutable = None,
    fvp_parameter: arguments.FvpParameter = None,
    firmware: arguments.Firmware = None,
    board: arguments.Board = None,
    repetitions: arguments.Repetitions = None,
    interpreter: Annotated[
        str, typer.Option(help="Which kernels host runs: tensorflow (the oracle), litert or tflite-runtime.")
    ] = "tensorflow",
    cpu: arguments.Cpu = False,
    keep_state: Annotated[
        bool,
        typer.Option("--keep-state", help="Samples are one sequence: variables keep their values (host, sim, serial)."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Cores: threads of sim (1), boots of fvp at a time (as many as there are)."),
    ] = None,
    as_json: arguments.Json = False,
) -> None:
    """Run a model on a target."""
    from hil.core.errors import BadInputError
    from hil.targets import create
    from hil.targets.execution.signature import read_signature

    if outputs and not outputs.resolve().parent.is_dir():
        raise BadInputError(f"--outputs {outputs}: there is no folder {outputs.parent}")
    settings = arguments.vela_settings(
        accelerator or arguments.DEFAULT_ACCELERATOR, memory_mode, system_config, vela_config, vela_option
    )
    fvp = arguments.fvp_options(engine, fvp_executable, fvp_parameter, firmware)
    serial = arguments.serial_options(board, repetitions, target)
    chosen = create(target, **_options(target, fvp, serial, interpreter, keep_state, jobs))
    data = arguments.read_model(model)
    signature = read_signature(data, str(model))
    if cpu and signature.compiled:
        raise BadInputError(f"--cpu: {model} is a Vela output, which needs the NPU", hint="give the int8 model")
    arrays = read_inputs(signature, inputs) if inputs else random_inputs(signature, samples)
    deployable = _deployable(data, signature, settings, str(model), accelerator, compiled=not cpu and target != "host")
    from hil.harness.progress import LineProgress

    progress = LineProgress()
    try:
        result = chosen.run(
            deployable, arrays, progress=lambda done, total: progress(f"{model} on {target}", done, total)
        )
    finally:
        progress.close()
        chosen.close()
    if outputs:
        _write_outputs(signature, outputs, result)
    compiled_here = deployable.int8 is not None and deployable.compiled is not None
    record = _record(target, signature, result, data, settings, compiled_here=compiled_here)
    print(json.dumps(record)) if as_json else _show(str(model), record)


def _options(
    target: str,
    fvp: dict[str, Any],
    serial: dict[str, Any],
    interpreter: str,
    keep_state: bool,
    jobs: int | None,
) -> dict[str, Any]:
    """The options of the target that was chosen; what is another target's is refused."""
    from hil.core.errors import BadInputError

    if interpreter != "tensorflow" and target != "host":
        raise BadInputError(f"--interpreter {interpreter}: only host has interpreters to choose from")
    arguments.refuse_firmware(fvp["firmware"], target)
    if jobs and target in ("host", "serial"):
        raise BadInputError(f"--jobs {jobs}: {target} runs one sample after the other")
    shared = {"jobs": jobs} if jobs else {}
    if target == "fvp":
        if keep_state:
            raise BadInputError("--keep-state: the firmware boots anew for each sample", hint="use host, sim or serial")
        return fvp | shared
    if target == "serial":
        return {"keep_state": keep_state, **serial}
    return {"keep_state": keep_state, **shared, **({"interpreter": interpreter} if target == "host" else {})}


def _deployable(
    data: bytes, signature: Signature, settings: VelaSettings, name: str, accelerator: str | None, *, compiled: bool
) -> Deployable:
    from hil.harness.vela.compiler import compile_model
    from hil.npu.vela_output import read_compiled
    from hil.targets.base import Deployable

    if signature.compiled:
        return Deployable(
            None, data, replace(settings, accelerator=accelerator or read_compiled(data).accelerator.name)
        )
    made = compile_model(data, settings, name=name).model if compiled else None
    return Deployable(data, made, settings)


def _write_outputs(signature: Signature, path: Path, result: Run) -> None:
    import numpy as np

    from hil.core.errors import BadInputError

    found = result.outputs or result.printed
    arrays = {spec.name: output for spec, output in zip(signature.outputs, found, strict=True)}
    try:
        with path.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from error


def _record(
    target: str, signature: Signature, result: Run, data: bytes, settings: VelaSettings, *, compiled_here: bool
) -> dict[str, Any]:
    from hil.harness.store.store import digest
    from hil.harness.vela.compiler import vela_version

    outputs = [
        {"name": spec.name, "shape": list(output.shape), "dtype": output.dtype.name}
        for spec, output in zip(signature.outputs, result.outputs or result.printed, strict=True)
    ]
    measurements = [{**asdict(m), "trust": m.trust.value} for m in result.measurements]
    identity = {"target": target, "model_sha256": digest(data)}
    if compiled_here:
        identity |= {"vela": vela_version(), "accelerator": settings.accelerator, "memory_mode": settings.memory_mode}
        identity |= {"system_config": settings.system_config, "vela_options": " ".join(settings.options)}
        identity |= {"vela_config_sha256": digest(settings.config_text.encode()) if settings.config_text else ""}
    elif signature.compiled:
        identity |= {"vela": "unknown: the model was compiled elsewhere"}
    identity |= result.identity
    return {"outputs": outputs, "measurements": measurements, "identity": identity}


def _show(model: str, record: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    identity = record["identity"]
    console = Console(markup=False)
    table = Table(title=f"{model} on {identity['target']}", title_justify="left")
    for heading in ("figure", "value", "unit", "trust", "note"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for found in record["measurements"]:
        value = f"{found['value']:,.3f}" if found["value"] % 1 else f"{int(found['value']):,}"
        table.add_row(found["name"], value, found["unit"], found["trust"], found["note"])
    for output in record["outputs"]:
        table.add_row(f"output {output['name']}", str(output["shape"]), output["dtype"], "exact", "")
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in identity.items()), highlight=False)
