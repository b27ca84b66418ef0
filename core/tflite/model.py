"""A `.tflite` as values: graphs, tensors, operators, constants, read without TensorFlow and without trust.

    model = read_model(data)                  # raises StreamError for damage
    for operator in model.main.operators:
        print(operator.kind, [model.main.tensors[index].name for index in operator.inputs if index >= 0])

Tensors and operators name each other by number: an index that leads nowhere is damage, so that every index in a
`TfliteModel` can be followed.  Readers look at a tensor for each operator that names it, so that is counted as
`flatbuffer` counts what is read.  Constants are views of the file.

Source: TensorFlow's `schema.fbs` (field numbers).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from hil.core.arrays import Array, Bytes
from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.flatbuffer import DAMAGED, Table, root_table

IDENTIFIER = b"TFL3"

NPU_OPERATOR = "ethos-u"
"""The custom operator in which Vela puts what runs on the NPU."""

DTYPES = {
    number: np.dtype(name)
    for number, name in {
        0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float64",
        15: "uint32", 16: "uint16",
    }.items()
}  # fmt: skip
"""TFLite's TensorType; other types are no arrays (string, resource, variant) or unknown to NumPy."""

_CUSTOM = 32
_LARGEST_RANK = 64
_T = TypeVar("_T")


@dataclass(frozen=True)
class Quantization:
    """Real value = scale * (quantized - zero point); one pair, or one per index of `axis`; empty if not quantized."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


_UNQUANTIZED = Quantization((), (), 0)


@dataclass(frozen=True)
class Tensor:
    """A tensor by its place in the subgraph; `shape_signature` has -1 for a size that the model leaves open.

    `type` is TFLite's TensorType; `data` are the bytes of a constant, None of a variable or activation.  Of a sparse
    constant they are the values that are not zero.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    type: int
    quantization: Quantization
    data: Bytes | None
    is_variable: bool
    is_sparse: bool

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """None if it is no array of numbers."""
        return DTYPES.get(self.type)

    @property
    def is_float(self) -> bool:
        """True for an array of floating-point numbers."""
        return self.dtype is not None and self.dtype.kind == "f"

    @property
    def bytes(self) -> int:
        """Size in memory; 0 if it is no array of numbers."""
        size = self.dtype.itemsize if self.dtype else 0
        for length in self.shape:
            size *= max(length, 0)
        return size

    def constant(self) -> Array | None:
        """The values of a constant, None of a variable or activation.

        Raises `StreamError` if the bytes do not fit shape and dtype.
        """
        if self.data is None:
            return None
        if self.dtype is None or min(self.shape, default=0) < 0 or len(self.data) != self.bytes:
            raise StreamError(f"the constant {self.name!r} has {len(self.data)} bytes")
        return self.data.view(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class OperatorCode:
    """A kind of operator: TFLite's builtin number, and the name of a custom one."""

    builtin: int
    custom: str

    @property
    def kind(self) -> str:
        """TFLite's name, such as CONV_2D; a custom operator's own.  Raises `StreamError` for a number without one."""
        name = self.custom if self.builtin == _CUSTOM else _builtin_names().get(self.builtin)
        if not name:
            raise StreamError(f"an operator of number {self.builtin}, which has no name")
        return name

    @property
    def is_npu(self) -> bool:
        """True for what Vela placed on the NPU."""
        return self.builtin == _CUSTOM and self.custom == NPU_OPERATOR


@dataclass(frozen=True)
class Operator:
    """An operator by its place in the subgraph, with the indices of its tensors; -1 for one that was left out."""

    index: int
    code: OperatorCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    table: Table = field(repr=False, compare=False)

    @property
    def kind(self) -> str:
        """The code's: CONV_2D, or a custom operator's own name."""
        return self.code.kind

    @property
    def options(self) -> Table | None:
        """The table of a builtin operator's options, if any; its fields are those of the kind in the schema."""
        return self.table.table(4)


@dataclass(frozen=True)
class Subgraph:
    """Tensors, operators in execution order, and the tensor indices of inputs and outputs in the model's order."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, index: int) -> Tensor:
        """The tensor that an operator must not leave out; raises `StreamError` for -1."""
        if index < 0:
            raise StreamError(f"tensor {index} of {len(self.tensors)}")
        return self.tensors[index]


@dataclass(frozen=True)
class TfliteModel:
    """A model; `buffers` are the bytes that tensors and metadata name."""

    subgraphs: tuple[Subgraph, ...]
    buffers: tuple[Bytes, ...]
    table: Table = field(repr=False, compare=False)

    @property
    def main(self) -> Subgraph:
        """The subgraph that an inference runs; raises `StreamError` if there is none."""
        if not self.subgraphs:
            raise StreamError("it has no graph")
        return self.subgraphs[0]

    def metadata(self, name: str) -> Bytes | None:
        """The first metadata of that name."""
        for entry in self.table.tables(6):
            if entry.string(0) == name:
                return _item(self.buffers, entry.scalar(1, "<I"), "buffer")
        return None


def read_model(data: bytes) -> TfliteModel:
    """Reads the whole structure.  Raises `StreamError` for what is no TFLite file or a damaged one."""
    root = root_table(data, IDENTIFIER)
    codes = _codes(root)
    buffers = tuple(buffer.view(0) for buffer in root.tables(4))
    return TfliteModel(tuple(_subgraph(graph, codes, buffers) for graph in root.tables(2)), buffers, root)


def require_tflite(data: bytes, name: str) -> None:
    """Raises `BadInputError` unless the first bytes of a file, which errors call `name`, are those of TFLite."""
    if data[4:8] != IDENTIFIER:
        pointer = data.startswith(b"version https://git-lfs")
        hint = "it is a pointer of Git LFS: git lfs pull brings the file" if pointer else "give a .tflite file"
        raise BadInputError(f"{name} is no TFLite model", hint=hint)


def view_model(data: bytes, name: str, view: Callable[[TfliteModel], _T]) -> _T:
    """`view` of a file that errors call `name`.  Raises `BadInputError` for what is no TFLite file or a damaged one."""
    require_tflite(data, name)
    try:
        return view(read_model(data))
    except StreamError as error:
        raise BadInputError(f"{name} is a damaged TFLite file: {error.args[0].removeprefix(DAMAGED)}") from error


def read_operator_codes(data: bytes) -> tuple[OperatorCode, ...]:
    """The kinds of operators that a file lists, without the rest.  Raises `StreamError` as `read_model`."""
    return _codes(root_table(data, IDENTIFIER))


def _codes(root: Table) -> tuple[OperatorCode, ...]:
    """Old files have the builtin number in the first field alone, a byte."""
    return tuple(
        OperatorCode(max(code.scalar(0, "<b"), code.scalar(3, "<i")), code.string(1)) for code in root.tables(1)
    )


def _subgraph(graph: Table, codes: Sequence[OperatorCode], buffers: Sequence[Bytes]) -> Subgraph:
    tensors = tuple(_tensor(index, table, buffers) for index, table in enumerate(graph.tables(0)))
    costs = [_cost(tensor) for tensor in tensors]

    def indices(table: Table, number: int) -> tuple[int, ...]:
        values = table.numbers(number, "<i")
        for value in values:
            if not -1 <= value < len(costs):
                raise StreamError(f"{DAMAGED}tensor {value} of {len(costs)}")
        graph.budget.spend(sum([costs[value] for value in values if value >= 0]))
        return values

    operators = []
    for index, table in enumerate(graph.tables(3)):
        code = _item(codes, table.scalar(0, "<I"), "operator code")
        operators.append(Operator(index, code, indices(table, 1), indices(table, 2), indices(table, 8), table))
    return Subgraph(graph.string(4), tensors, tuple(operators), indices(graph, 1), indices(graph, 2))


def _cost(tensor: Tensor) -> int:
    """About the bytes that an operator's reader takes in of a tensor."""
    return len(tensor.name) + 4 * (len(tensor.quantization.scales) + len(tensor.quantization.zero_points))


def _tensor(index: int, table: Table, buffers: Sequence[Bytes]) -> Tensor:
    data = _item(buffers, table.scalar(2, "<I"), "buffer")
    shape, signature = table.numbers(0, "<i"), table.numbers(7, "<i")
    if max(len(shape), len(signature)) > _LARGEST_RANK:
        raise StreamError(f"a tensor of {max(len(shape), len(signature))} dimensions")
    quantization = table.table(4)
    return Tensor(
        index,
        table.string(3),
        shape,
        signature,
        table.scalar(1, "<b"),
        _UNQUANTIZED if quantization is None else _quantization(quantization),
        data if len(data) else None,
        bool(table.scalar(5, "<b")),
        table.table(6) is not None,
    )


def _quantization(table: Table) -> Quantization:
    return Quantization(table.numbers(2, "<f"), table.numbers(3, "<q"), table.scalar(6, "<i"))


def _item(items: Sequence[_T], index: int, what: str) -> _T:
    if index >= len(items):
        raise StreamError(f"{DAMAGED}{what} {index} of {len(items)}")
    return items[index]


@functools.cache
def _builtin_names() -> dict[int, str]:
    from ethosu.vela.tflite.BuiltinOperator import BuiltinOperator

    return {value: name for name, value in vars(BuiltinOperator).items() if not name.startswith("_")}
