"""Picks the file of a deployable that a target runs, and checks the accelerator that it was compiled for."""

from __future__ import annotations

from hil.core.errors import BadInputError, StreamError
from hil.core.executorch_program import is_program, read_program
from hil.npu.accelerator import Accelerator
from hil.npu.executorch_delegate import read_delegates
from hil.npu.vela_output import read_compiled
from hil.targets.base import Deployable


def model_file(model: Deployable) -> bytes:
    """Vela's output if there is one, else the int8 model; raises `BadInputError` if there is neither."""
    data = model.compiled if model.compiled is not None else model.int8
    if data is None:
        raise BadInputError("there is no model to run")
    return data


def accelerator_of(compiled: bytes) -> Accelerator:
    """The accelerator that a Vela output or an ExecuTorch program was compiled for.

    Raises `StreamError` if nothing of it is for one, or for what is modelled neither.
    """
    if not is_program(compiled):
        return read_compiled(compiled).accelerator
    delegates = read_delegates(read_program(compiled))
    if not delegates:
        raise StreamError("the program has no Ethos-U delegate")
    return delegates[0].accelerator


def check_accelerator(compiled: bytes, accelerator: str) -> None:
    """Raises `BadInputError`, naming both, for a Vela output that was compiled for another accelerator."""
    made_for = accelerator_of(compiled).name
    if made_for != accelerator:
        raise BadInputError(
            f"the model was compiled for {made_for}, and {accelerator} is to run it",
            hint=f"take --accelerator {made_for}, or give the int8 model",
        )
