"""Picks the file of a deployable that a target runs, and checks the accelerator that it was compiled for."""

from __future__ import annotations

from hil.core.errors import BadInputError
from hil.npu.vela_output import read_compiled
from hil.targets.base import Deployable


def model_file(model: Deployable) -> bytes:
    """Vela's output if there is one, else the int8 model; raises `BadInputError` if there is neither."""
    data = model.compiled if model.compiled is not None else model.int8
    if data is None:
        raise BadInputError("there is no model to run")
    return data


def check_accelerator(compiled: bytes, accelerator: str) -> None:
    """Raises `BadInputError`, naming both, for a Vela output that was compiled for another accelerator."""
    made_for = read_compiled(compiled).accelerator.name
    if made_for != accelerator:
        raise BadInputError(
            f"the model was compiled for {made_for}, and {accelerator} is to run it",
            hint=f"take --accelerator {made_for}, or give the int8 model",
        )
