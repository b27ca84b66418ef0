"""Which file of a deployable a target runs, and whether it was compiled for the accelerator that is asked for."""

from __future__ import annotations

from hil.npu.compiled import NpuOperator, read_compiled
from hil.npu.errors import BadInputError
from hil.targets.base import Deployable


def model_file(model: Deployable) -> bytes:
    """Vela's output if there is one, else the int8 model; raises `BadInputError` if there is neither."""
    data = model.compiled if model.compiled is not None else model.int8
    if data is None:
        raise BadInputError("there is no model to run")
    return data


def check_accelerator(compiled: bytes, accelerator: str) -> None:
    """Raises `BadInputError`, naming both, for a Vela output that was made for another accelerator."""
    made_for = read_compiled(compiled).accelerator.name
    if made_for != accelerator:
        raise BadInputError(
            f"the model was compiled for {made_for}, and {accelerator} is to run it",
            hint=f"take --accelerator {made_for}, or give the int8 model",
        )


def refuse_fast_memory(compiled: bytes) -> None:
    """Raises `BadInputError` for a model that wants a fast memory beside the arena (memory mode Dedicated_Sram).

    The driver must be built to set one up.  One that is not takes the model without a word, lets both memories overlap,
    and computes wrong outputs.
    """
    operators = read_compiled(compiled).main.operators
    if any(isinstance(op, NpuOperator) and op.scratch != op.scratch_fast for op in operators):
        raise BadInputError(
            "the model was compiled for Dedicated_Sram, for which Arm's prebuilt firmware sets up no memory",
            hint="compile it for Shared_Sram or Sram_Only, or take --target sim",
        )
