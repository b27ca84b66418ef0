"""Order of the inputs and outputs of a TFLite file that was made through a SavedModel.

    in_order(int8, ["ids", "features"])      # whatever order the converter gave them

A SavedModel's signature is a mapping, so the converter writes inputs and outputs in an order of its own.  The names of
the inputs and the numbers in the names of the outputs (`StatefulPartitionedCall:1`) say which is which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hil.core.errors import ConvertError
from hil.core.tflite.flatbuffer import Table, root_table
from hil.core.tflite.model import view_model

_SUBGRAPHS, _INPUTS, _OUTPUTS = 2, 1, 2
"""Fields of the schema's tables Model and SubGraph."""


def in_order(int8: bytes, inputs: Sequence[str]) -> bytes:
    """Returns the same file with the inputs in the order of these names, and the outputs in that of their numbers.

    Raises `ConvertError` if a name is none of the file's.
    """

    def place_of_input(name: str) -> int:
        short = name.removeprefix("serving_default_").partition(":")[0]
        if short not in inputs:
            raise ConvertError(f"the converted file has an input {name}, the network {', '.join(inputs)}")
        return inputs.index(short)

    graph = root_table(int8, b"TFL3").tables(_SUBGRAPHS)[0]
    names = view_model(int8, "the file", lambda model: {tensor.index: tensor.name for tensor in model.main.tensors})
    content = bytearray(int8)
    _sort(content, graph, _INPUTS, lambda tensor: place_of_input(names[tensor]))
    _sort(content, graph, _OUTPUTS, lambda tensor: int(names[tensor].rpartition(":")[2] or 0))
    return bytes(content)


def _sort(content: bytearray, graph: Table, field: int, place: Callable[[int], int]) -> None:
    """Sorts a vector of tensor numbers in the file's bytes."""
    start, length = graph.span(field)
    tensors = np.frombuffer(bytes(content), "<i4", length, start)
    if length > 1:
        content[start : start + 4 * length] = np.asarray(sorted(map(int, tensors), key=place), "<i4").tobytes()
