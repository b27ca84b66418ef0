"""Shape signatures: a second shape of a tensor, with -1 for the sizes that a model leaves open.

A tool that cuts a model into tiles, or pads it, may change the shapes and leave the signatures as they were.  TFLite's
interpreter and TFLite Micro go by the shape, Vela 5 by the signature, and its stream is that of another model.
"""

from __future__ import annotations

import struct

from hil.core.tflite.flatbuffer import Table, root_table
from hil.core.tflite.model import IDENTIFIER

_SUBGRAPHS = 2
"""Field of the schema's table Model."""
_TENSORS = 0
"""Field of the schema's table SubGraph."""
_SHAPE, _SIGNATURE = 0, 7
"""Fields of the schema's table Tensor."""


def without_stale_signatures(model: bytes) -> bytes:
    """The same `.tflite` without the shape signatures that contradict their tensors' shapes.

    Raises `StreamError` for a damaged file.
    """
    tensors = [
        tensor for graph in root_table(model, IDENTIFIER).tables(_SUBGRAPHS) for tensor in graph.tables(_TENSORS)
    ]
    stale = {tensor.span(_SIGNATURE)[0] for tensor in tensors if _is_stale(tensor)}
    stale -= {tensor.span(_SHAPE)[0] for tensor in tensors}  # a file may share equal vectors
    if not stale:
        return model
    content = bytearray(model)
    for start in stale:
        struct.pack_into("<I", content, start - 4, 0)  # a vector of no items is one that is absent
    return bytes(content)


def _is_stale(tensor: Table) -> bool:
    shape, signature = tensor.numbers(_SHAPE, "<i"), tensor.numbers(_SIGNATURE, "<i")
    if not signature:
        return False
    return len(shape) != len(signature) or any(
        theirs not in (-1, ours) for ours, theirs in zip(shape, signature, strict=True)
    )
