"""A model's resource variables: which operator reads or writes which, and what they hold at first.

TFLite keeps a variable of the user's program, such as a `tf.Variable`, outside of the tensors: VAR_HANDLE makes a
handle from a name, READ_VARIABLE and ASSIGN_VARIABLE take the handle.  CALL_ONCE runs another subgraph before the first
inference; it assigns the initial values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hil.core.errors import BadInputError
from hil.npu.vela_output import CompiledModel, Tensor
from hil.targets.execution.signature import guarded, operator_name


@dataclass(frozen=True)
class Resources:
    """`handles`: tensor of the main graph -> name of the variable; `accesses`: READ_ and ASSIGN_VARIABLE operators by
    place; `silent`: operators that do nothing in an inference; `initial`: name -> the constant it starts from.
    """

    handles: dict[int, str]
    accesses: frozenset[int]
    silent: frozenset[int]
    initial: dict[str, Tensor]


def read_resources(data: bytes, model: CompiledModel) -> Resources:
    """The resources of a Vela output.  Raises `BadInputError` for initial values that are not constants."""
    return guarded(data, "the compiled model", lambda root: _read(root, model))


def _read(root: Any, model: CompiledModel) -> Resources:
    from ethosu.vela.tflite.CallOnceOptions import CallOnceOptions

    main = root.Subgraphs(0)
    names = _names(root, main)
    once = [main.Operators(i) for i, name in enumerate(names) if name == "CALL_ONCE"]
    initial: dict[str, Tensor] = {}
    for operator in once:
        number = _options(operator, CallOnceOptions()).InitSubgraphIndex()
        initial.update(_assigned(root, number, model))
    return Resources(
        _handles(root, main, names),
        frozenset(i for i, name in enumerate(names) if name in ("READ_VARIABLE", "ASSIGN_VARIABLE")),
        frozenset(i for i, name in enumerate(names) if name in ("VAR_HANDLE", "CALL_ONCE")),
        initial,
    )


def _assigned(root: Any, number: int, model: CompiledModel) -> dict[str, Tensor]:
    graph = root.Subgraphs(number)
    names = _names(root, graph)
    handles = _handles(root, graph, names)
    found = {}
    for index, name in enumerate(names):
        operator = graph.Operators(index)
        if name == "ASSIGN_VARIABLE":
            value = model.subgraphs[number].tensors[operator.Inputs(1)]
            if value.data is None or value.dtype is None:
                raise BadInputError("the model computes the initial value of a variable, which is not supported")
            found[handles[operator.Inputs(0)]] = value
        elif name != "VAR_HANDLE":
            raise BadInputError(f"the model initialises itself with {name}, which is not supported")
    return found


def _handles(root: Any, graph: Any, names: list[str]) -> dict[int, str]:
    from ethosu.vela.tflite.VarHandleOptions import VarHandleOptions

    handles = {}
    for index, name in enumerate(names):
        if name == "VAR_HANDLE":
            operator = graph.Operators(index)
            options = _options(operator, VarHandleOptions())
            parts = (options.Container() or b"", options.SharedName() or b"")
            handles[operator.Outputs(0)] = "/".join(part.decode() for part in parts)
    return handles


def _names(root: Any, graph: Any) -> list[str]:
    return [operator_name(root, graph.Operators(index)) for index in range(graph.OperatorsLength())]


def _options(operator: Any, options: Any) -> Any:
    table = operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options
