"""Tensors in Vela's output that no model has, but a damaged file may: negative lengths, constants of another size.

from hil.npu.vela_output import read_compiled

check_tensors(read_compiled(data))
"""

from __future__ import annotations

from hil.core.errors import StreamError
from hil.npu.vela_output import CompiledModel


def check_tensors(model: CompiledModel) -> None:
    """Raises `StreamError` for a tensor with a negative length, or a constant whose bytes do not fill its shape."""
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        name = f"{tensor.name!r}"
        if any(length < 0 for length in tensor.shape):
            raise StreamError(f"the file is damaged: the tensor {name} has the shape {tensor.shape}")
        if tensor.data is not None and tensor.dtype is not None and len(tensor.data) != tensor.bytes:
            raise StreamError(
                f"the file is damaged: the constant {name} has {len(tensor.data)} bytes, and its shape "
                f"{tensor.shape} of {tensor.dtype.name} needs {tensor.bytes}"
            )
