"""A model's resource variables: the operators that read and write them, and their initial values.

TFLite keeps a variable of the user's program, such as a `tf.Variable`, outside of the tensors: VAR_HANDLE makes a
handle from a name, READ_VARIABLE and ASSIGN_VARIABLE take the handle.  CALL_ONCE runs another subgraph before the first
inference; it assigns the initial values.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.flatbuffer import Table
from hil.core.tflite.model import NPU_OPERATOR, Tensor
from hil.npu.vela_output import CompiledModel, CompiledSubgraph, CpuOperator, NpuOperator

_INIT_SUBGRAPH = 0
_CONTAINER, _SHARED_NAME = 0, 1
"""Fields of the schema's `CallOnceOptions` and `VarHandleOptions`."""


@dataclass(frozen=True)
class Resources:
    """Resource variables of a model.

    `handles`: tensor of the main graph -> name of the variable; `accesses`: READ_ and ASSIGN_VARIABLE operators by
    place; `silent`: operators that do nothing in an inference; `initial`: name -> the constant it starts from.
    """

    handles: dict[int, str]
    accesses: frozenset[int]
    silent: frozenset[int]
    initial: dict[str, Tensor]


def read_resources(model: CompiledModel) -> Resources:
    """The resources of a Vela output.

    Raises `BadInputError` for initial values that are not constants, `StreamError` for a damaged file.
    """
    initial: dict[str, Tensor] = {}
    for operator in _operators(model.main, "CALL_ONCE"):
        number = _options(operator).scalar(_INIT_SUBGRAPH, "<i")
        if not 0 <= number < len(model.subgraphs):
            raise StreamError(f"the file is damaged: subgraph {number} of {len(model.subgraphs)}")
        initial.update(_assigned(model.subgraphs[number]))
    return Resources(
        _handles(model.main),
        frozenset(operator.index for operator in _operators(model.main, "READ_VARIABLE", "ASSIGN_VARIABLE")),
        frozenset(operator.index for operator in _operators(model.main, "VAR_HANDLE", "CALL_ONCE")),
        initial,
    )


def _operators(graph: CompiledSubgraph, *kinds: str) -> list[CpuOperator]:
    return [found for found in graph.operators if isinstance(found, CpuOperator) and found.kind in kinds]


def _assigned(graph: CompiledSubgraph) -> dict[str, Tensor]:
    for operator in graph.operators:
        kind = NPU_OPERATOR if isinstance(operator, NpuOperator) else operator.kind
        if kind not in ("ASSIGN_VARIABLE", "VAR_HANDLE"):
            raise BadInputError(f"the model initialises itself with {kind}, which is not supported")
    handles = _handles(graph)
    found: dict[str, Tensor] = {}
    for operator in _operators(graph, "ASSIGN_VARIABLE"):
        if len(operator.inputs) < 2 or operator.inputs[0] not in handles or operator.inputs[1] < 0:
            raise StreamError(f"operator {operator.index} names no variable or no value")
        value = graph.tensors[operator.inputs[1]]
        if value.data is None or value.dtype is None:
            raise BadInputError("the model computes the initial value of a variable, which is not supported")
        found[handles[operator.inputs[0]]] = value
    return found


def _handles(graph: CompiledSubgraph) -> dict[int, str]:
    handles = {}
    for operator in _operators(graph, "VAR_HANDLE"):
        if not operator.outputs:
            raise StreamError(f"operator {operator.index} names no variable")
        options = _options(operator)
        handles[operator.outputs[0]] = f"{options.string(_CONTAINER)}/{options.string(_SHARED_NAME)}"
    return handles


def _options(operator: CpuOperator) -> Table:
    if operator.options is None:
        raise StreamError(f"operator {operator.index} has no options")
    return operator.options
