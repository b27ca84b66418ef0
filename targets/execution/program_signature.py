"""The signature of an ExecuTorch program, and of any file that a target runs.

    signature = deployed_signature(data, "model.pte")
    [spec.name for spec in signature.inputs]              # input_0, input_1 ...: programs do not name them

A program's float tensors are taken and given as they are: its own kernels quantize.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.errors import BadInputError
from hil.core.executorch_program import ProgramTensor, is_program, read_program
from hil.core.tflite.model import NPU_OPERATOR
from hil.npu.executorch_delegate import BACKEND
from hil.targets.execution.signature import Signature, TensorSpec, read_signature


def deployed_signature(data: bytes, name: str = "the model") -> Signature:
    """The signature of a `.tflite` or `.pte`, which errors call `name`.  Raises `BadInputError` for anything else."""
    return program_signature(data, name) if is_program(data) else read_signature(data, name)


def program_signature(data: bytes, name: str = "the program") -> Signature:
    """The signature of an ExecuTorch program; raises `BadInputError` as `read_program`, and for dynamic shapes."""
    program = read_program(data, name)
    operators = tuple(NPU_OPERATOR if call == BACKEND else call for call in program.calls)
    nothing: tuple[tuple[str, ...], ...] = ((),) * len(operators)
    inputs, outputs = _specs(program.inputs, "input", name), _specs(program.outputs, "output", name)
    return Signature(inputs, outputs, operators, nothing, ("",) * len(operators), nothing)


def _specs(tensors: Sequence[ProgramTensor], kind: str, program: str) -> tuple[TensorSpec, ...]:
    found = []
    for index, tensor in enumerate(tensors):
        name = f"{kind}_{index}"
        if tensor.is_dynamic:
            raise BadInputError(f"{program}: {name} has a dynamic shape", hint="export it with fixed shapes")
        if tensor.dim_order != tuple(range(len(tensor.shape))):
            raise BadInputError(
                f"{program}: {name} has the dimension order {list(tensor.dim_order)}",
                hint="export it with contiguous tensors; channels_last is not supported",
            )
        found.append(TensorSpec(name, tensor.shape, tensor.dtype))
    return tuple(found)
