"""The entry points of a `.tflite`, which TensorFlow calls signatures, and the file with the first of them alone.

Each signature has a subgraph, and an inference without a signature's name, as TFLite Micro's, runs the first subgraph.
Vela compiles all of them, adds their cycles and weights, and numbers the operators of each from 0 in its debug
database.
"""

from __future__ import annotations

import struct

from hil.core.errors import StreamError
from hil.core.tflite.flatbuffer import root_table
from hil.core.tflite.model import IDENTIFIER, TfliteModel, read_model

_SUBGRAPHS, _SIGNATURES = 2, 7
"""Fields of the schema's table Model."""
_NAME, _SUBGRAPH = 2, 4
"""Fields of the schema's table SignatureDef."""
_PARTS = (1, 2, 3)
"""Inputs, outputs and operators: fields of the schema's table SubGraph."""
_CALLED = {"CALL": (0,), "CALL_ONCE": (0,), "IF": (0, 1), "WHILE": (0, 1)}
"""Operators that run other subgraphs -> the fields of their options that name these."""


def entry_points(model: TfliteModel) -> tuple[str, ...]:
    """The names of the signatures, that of the first subgraph first; empty if the file names none."""
    found = sorted((entry.scalar(_SUBGRAPH, "<I"), entry.string(_NAME)) for entry in model.table.tables(_SIGNATURES))
    return tuple(name for _, name in found)


def first_alone(data: bytes) -> bytes:
    """The same file without the subgraphs that an inference of the first one does not run.

    Those at the end are cut off, others emptied, so that the rest keeps its numbers.  Raises `StreamError` for a
    damaged file.
    """
    model = read_model(data)
    needed = _reached(model)
    if len(needed) == len(model.subgraphs):
        return data
    root, content = root_table(data, IDENTIFIER), bytearray(data)
    graphs = root.tables(_SUBGRAPHS)
    held = {graphs[number].span(field)[0] for number in needed for field in _PARTS}
    for number in {*range(len(graphs))} - needed:
        for start, _ in (graphs[number].span(field) for field in _PARTS):
            if start not in held:  # Files may share them.
                _shorten(content, start, 0)
    _shorten(content, root.span(_SUBGRAPHS)[0], max(needed) + 1)
    _shorten(content, root.span(_SIGNATURES)[0], 0)
    return bytes(content)


def _reached(model: TfliteModel) -> set[int]:
    """The numbers of the subgraphs that an inference runs; all where an operator may run others in a way of its own."""
    reached, open_numbers = set[int](), [0]
    while open_numbers:
        number = open_numbers.pop()
        if not 0 <= number < len(model.subgraphs):
            raise StreamError(f"the file is damaged: subgraph {number} of {len(model.subgraphs)}")
        if number in reached:
            continue
        reached.add(number)
        for operator in model.subgraphs[number].operators:
            if operator.kind.startswith("STABLEHLO"):
                return {*range(len(model.subgraphs))}
            options = operator.options
            if options is not None:
                open_numbers += [options.scalar(field, "<i") for field in _CALLED.get(operator.kind, ())]
    return reached


def _shorten(content: bytearray, start: int, length: int) -> None:
    """Sets the length of the vector whose first item is at byte `start`; 0 is a vector that is absent."""
    if start:
        struct.pack_into("<I", content, start - 4, length)
