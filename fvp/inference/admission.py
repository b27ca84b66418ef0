"""Admission of a model to a firmware: every mismatch that shows before anything starts.

from hil.fvp.inference.arena import check_arena
from hil.fvp.inference.firmware import runner

used_npu = check(model, [490], [12], 128, runner())
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.errors import BadInputError
from hil.core.executorch_program import Program, is_program
from hil.fvp.inference.arena import check_arena
from hil.fvp.inference.firmware import EXECUTORCH, RUNTIMES, Firmware
from hil.fvp.inference.program_admission import check_program
from hil.npu.cpu_views import check_views
from hil.npu.tensor_sizes import check_tensors
from hil.npu.vela_output import CompiledModel, NpuOperator, is_compiled, read_compiled


def check(
    model: bytes, input_sizes: Sequence[int], output_sizes: Sequence[int], macs: int, firmware: Firmware
) -> CompiledModel | Program | None:
    """The compiled model; None for one without NPU operators.  Sizes are bytes of each input and output.

    Raises `BadInputError` for what is no model, does not fit the firmware's memory, or was compiled for another NPU.
    """
    layout = firmware.layout
    for what, size, region in (
        ("model", len(model), layout.model),
        ("inputs", sum(input_sizes), layout.inputs),
        ("outputs", sum(output_sizes), layout.outputs),
    ):
        if size > region.size:
            raise BadInputError(f"the {what} of {size} bytes do not fit the firmware's {region.size} bytes")
    if is_program(model) != (firmware.runtime == EXECUTORCH):
        kind = "an ExecuTorch program" if is_program(model) else "no ExecuTorch program"
        raise BadInputError(f"the model is {kind}, and the firmware runs {RUNTIMES[firmware.runtime]} models")
    if is_program(model):
        return check_program(model, input_sizes, output_sizes, macs, firmware)
    if model[4:8] != b"TFL3":
        raise BadInputError("the model is not a TFLite file")
    if not is_compiled(model):
        return None
    compiled = read_compiled(model)
    check_views(compiled)
    check_tensors(compiled)
    _check_npu(compiled, macs, firmware)
    check_arena(compiled, firmware)
    main = compiled.main
    for kind, wanted, given in (
        ("inputs", [main.tensors[index].bytes for index in main.inputs], list(input_sizes)),
        ("outputs", [main.tensors[index].bytes for index in main.outputs], list(output_sizes)),
    ):
        if wanted != given:
            raise BadInputError(f"the model's {kind} have {wanted} bytes, not {given}")
    return compiled


def check_streams(model: CompiledModel) -> None:
    """Raises `StreamError` for a command stream or weights that the NPU model cannot run.

    The NPU would meet them as an error in the middle of a run, or reach beyond its memories without a word.
    """
    for number, graph in enumerate(model.subgraphs):
        for operator in graph.operators:
            if isinstance(operator, NpuOperator):
                operator.bind(model, number).check_memory()


def check_memory_mode(mode: str, firmware: Firmware) -> None:
    """Raises `BadInputError` if a model compiled for `mode` would find other memories than Vela assumed."""
    if mode not in firmware.memory_modes:
        raise BadInputError(
            f"the firmware has its memories as in {' or '.join(firmware.memory_modes)}, not as in {mode}",
            hint=f"compile the model with --memory-mode {firmware.memory_modes[0]}" if firmware.memory_modes else "",
        )


def _check_npu(compiled: CompiledModel, macs: int, firmware: Firmware) -> None:
    made_for = compiled.accelerator
    if not made_for.name.startswith(f"{firmware.npu}-"):
        raise BadInputError(
            f"the model was compiled for {made_for.name} and the firmware's driver is for {firmware.npu}",
            hint=f"compile it with --accelerator-config {firmware.npu}-{macs}",
        )
    if made_for.macs != macs:
        raise BadInputError(
            f"the model was compiled for {made_for.name} and the NPU has {macs} MACs",
            hint=f"compile it with --accelerator-config {firmware.npu}-{macs}",
        )
