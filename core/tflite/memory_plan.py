"""The memory plan that a `.tflite` brings along: the metadata `OfflineMemoryAllocation`.

It has an arena offset for each tensor by its number, and so holds for one file.  Vela writes one into its output, but
not if its input has any: then it hands that on, whose numbers are those of other tensors.  TFLite Micro follows it
without a word, and computes with tensors that overlap.
"""

from __future__ import annotations

from hil.core.tflite.flatbuffer import root_table

NAME = "OfflineMemoryAllocation"
_OTHER_NAME = b"RemovedMemoryAllocation"
_METADATA = 6
"""Field of the schema's table Model."""


def without_plan(model: bytes) -> bytes:
    """The same `.tflite` without a memory plan: its metadata gets another name of the same length.

    Raises `StreamError` for a damaged file.
    """
    for entry in root_table(model, b"TFL3").tables(_METADATA):
        start, length = entry.span(0)
        if model[start : start + length] == NAME.encode():
            model = model[:start] + _OTHER_NAME + model[start + length :]
    return model
