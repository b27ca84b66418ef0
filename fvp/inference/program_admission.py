"""Admission of an ExecuTorch program to a runner: every mismatch that shows before anything starts."""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.errors import BadInputError
from hil.core.executorch_program import Program, ProgramTensor, read_program
from hil.fvp.inference.arena import smaller_arena
from hil.fvp.inference.firmware import Firmware
from hil.npu.executorch_delegate import check_delegates, read_delegates
from hil.npu.vela_output import SCRATCH_FAST


def check_program(
    data: bytes, input_sizes: Sequence[int], output_sizes: Sequence[int], macs: int, firmware: Firmware
) -> Program:
    """The program.

    Raises `BadInputError` for one without an Ethos-U delegate, with delegates of other backends, for another NPU, or
    with other sizes of its tensors.
    """
    program = read_program(data)
    check_delegates(program)
    for kind, tensors, given in (("inputs", program.inputs, input_sizes), ("outputs", program.outputs, output_sizes)):
        if _sizes(tensors) != list(given):
            raise BadInputError(f"the program's {kind} have {_sizes(tensors)} bytes, not {list(given)}")
    delegates = read_delegates(program)
    for made_for in (delegate.accelerator for delegate in delegates):
        if made_for.name != f"{firmware.npu}-{macs}":
            raise BadInputError(
                f"the program was compiled for {made_for.name}, not for {firmware.npu}-{macs}",
                hint=f'export it with EthosUCompileSpec("{firmware.npu}-{macs}")',
            )
    if any(SCRATCH_FAST in delegate.regions for delegate in delegates):
        raise BadInputError(
            "the program was compiled for Dedicated_Sram, for which the runner sets up no memory",
            hint='export it with EthosUCompileSpec(..., memory_mode="Shared_Sram")',
        )
    layout = firmware.layout
    for what, needed, place in (
        ("for its tensors", program.planned_bytes, layout.arena),
        ("of scratch for the NPU", max(delegate.scratch_bytes for delegate in delegates), layout.scratch),
    ):
        if place is not None and needed > place.size:
            raise BadInputError(
                f"the program needs {needed} bytes {what}, and the runner has {place.size}",
                hint=smaller_arena(firmware, is_compiled=True),
            )
    return program


def _sizes(tensors: Sequence[ProgramTensor]) -> list[int]:
    return [tensor.bytes for tensor in tensors]
