"""Biases of int16 models whose type TFLite's kernels misread.

Beside int16 activations TFLite's kernels take biases of int64.  Since 2.15 the options of CONV_2D, TRANSPOSE_CONV and
FULLY_CONNECTED may declare int32; where the bias is int32 and nothing declares it, TensorFlow's reference kernel reads
beyond its end, and two of them as one.  Vela and TFLite Micro go by the tensor's type.  DEPTHWISE_CONV_2D has nothing
to declare it by, and its kernel takes int64 alone.

    declared = readable(model, schema)      # in the file, in the interpreter's child process
    note(read_model(data))                  # a line for the reader of a verdict
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hil.core.errors import BadInputError
from hil.core.tflite.model import Operator, Subgraph, TfliteModel, read_model

_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operators with a bias -> its place among the inputs."""
_DECLARED_BY = {"CONV_2D": 6, "FULLY_CONNECTED": 4, "TRANSPOSE_CONV": 4}
"""The field `quantized_bias_type` of the schema's options."""
_INT32 = 2
"""TFLite's TensorType."""


def readable(model: bytes, schema: Any) -> bytes:
    """The same `.tflite` with its int32 biases declared; `schema` is a module `schema_py_generated`.

    Raises `BadInputError` for an operator that has nothing to declare them by.
    """
    graph = read_model(model).main
    found = _beside_int16(graph)
    for operator in found:
        if operator.kind not in _DECLARED_BY:
            raise BadInputError(
                f"{_place(graph, operator)} has an int32 bias beside int16 activations, and TensorFlow Lite's "
                "kernel takes int64",
                hint="convert it with int64 biases, TFLiteConverter's default",
            )
    return _declared(model, [operator.index for operator in found if not _declares(operator)], schema)


def note(model: TfliteModel) -> str:
    """A line on the biases that `readable` declares; empty if there are none."""
    graph = model.main
    names = [_place(graph, found) for found in _beside_int16(graph) if not _declares(found)]
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}: the undeclared int32 bias is read as int32, as Vela and TFLite Micro read it"


def _declared(model: bytes, operators: Sequence[int], schema: Any) -> bytes:
    if not operators:
        return model
    import flatbuffers

    whole = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    for index in operators:
        options = whole.subgraphs[0].operators[index].builtinOptions
        if not hasattr(options, "quantizedBiasType"):
            raise BadInputError("the model has int32 biases beside int16 activations, which this interpreter misreads")
        options.quantizedBiasType = _INT32
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _place(graph: Subgraph, operator: Operator) -> str:
    return f"{operator.kind} {operator.index} ({graph.tensor(operator.outputs[0]).name!r})"


def _beside_int16(graph: Subgraph) -> list[Operator]:
    """The operators with int16 activations and an int32 bias."""
    return [operator for operator in graph.operators if _types(graph, operator) == ("int16", "int32")]


def _types(graph: Subgraph, operator: Operator) -> tuple[str, str]:
    place = _BIAS.get(operator.kind, len(operator.inputs))
    if place >= len(operator.inputs) or operator.inputs[place] < 0 or not operator.outputs:
        return "", ""
    tensors = graph.tensor(operator.outputs[0]), graph.tensors[operator.inputs[place]]
    activation, bias = (str(tensor.dtype) for tensor in tensors)
    return activation, bias


def _declares(operator: Operator) -> bool:
    """True also for a kind that has nothing to declare them by."""
    options = operator.options
    field = _DECLARED_BY.get(operator.kind)
    return field is None or (options is not None and options.scalar(field, "<b") == _INT32)
