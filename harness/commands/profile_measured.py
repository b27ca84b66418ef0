"""`hil profile --target T`: the layers' time on a target that runs command streams piece by piece."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.targets import registry

if TYPE_CHECKING:
    from hil.harness.profile.measured_layers import MeasuredLayers
    from hil.harness.profile.profiled_model import ProfiledModel
    from hil.harness.profile.source import Source
    from hil.harness.vela.settings import VelaSettings
    from hil.targets.base import CutsStreams, Target

FORMATS = (".json", ".csv")


def run_measured(
    model: ProfiledModel,
    settings: VelaSettings,
    target: str,
    of_targets: dict[str, Any],
    outputs: list[Path],
    *,
    as_json: bool,
) -> None:
    """Measures, writes the files and prints; raises `BadInputError` for a target that cannot run pieces."""
    from hil.harness.output_file import check_output, write_output
    from hil.harness.profile.measured_layers import measured_csv, measured_lines, measured_record

    for path in outputs:
        check_output(path, "-o", FORMATS)
    found = _measure(model, settings, target, of_targets)
    record = measured_record(found)
    for path in outputs:
        text = json.dumps(record, indent=1) if path.suffix.lower() == ".json" else measured_csv(found)
        write_output(path, text.encode())
    if as_json:
        print(json.dumps(record))
    else:
        sys.stdout.write("\n".join([*measured_lines(found), ""]))


def _measure(model: ProfiledModel, settings: VelaSettings, target: str, of_targets: dict[str, Any]) -> MeasuredLayers:
    from hil.harness.commands.inputs import random_inputs
    from hil.harness.profile.measured_layers import measured_layers
    from hil.harness.profile.modelled_cycles import modelled_cycles
    from hil.harness.profile.stream_cuts import cut_streams, words_of
    from hil.npu.vela_output import is_compiled
    from hil.targets.base import Deployable
    from hil.targets.execution.signature import read_signature

    declared = registry.declaration(target)
    made = registry.make(declared, registry.make_options([target], of_targets)[target])
    with contextlib.closing(made):
        cutter = _cutter(made)
        compiled, source = _compiled(model, settings)
        streams = cut_streams(compiled, settings, source) if is_compiled(compiled) else ()
        deployable = Deployable(None if model.is_compiled else model.data, compiled, settings)
        inputs = random_inputs(read_signature(model.data, model.name), 1)
        run = cutter.run_cut(deployable, inputs, words_of(streams))
    return measured_layers(model.name, target, streams, run, modelled_cycles(compiled, settings))


def _cutter(target: Target) -> CutsStreams:
    from hil.core.errors import BadInputError
    from hil.targets.base import CutsStreams

    if not isinstance(target, CutsStreams):
        hint = "a board with the monitor firmware can; without --target the layers are modelled"
        raise BadInputError(f"--target {target.name}: it runs no command stream piece by piece", hint=hint)
    return target


def _compiled(model: ProfiledModel, settings: VelaSettings) -> tuple[bytes, Source | None]:
    from hil.harness.profile.compiled_profile import source_of
    from hil.harness.progress import LineProgress
    from hil.harness.vela.compiler import compile_model

    if model.is_compiled:
        return model.data, None
    with contextlib.closing(LineProgress()) as progress:
        compiled = compile_model(model.data, settings, name=model.name, say=progress)
    return compiled.model, source_of(compiled, model.data)
