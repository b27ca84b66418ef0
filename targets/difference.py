"""Where a compiled model first computes something else than the reference kernels.

    found = first_difference(deployable, compiled.mapping, [x[:1]])
    print(found)      # CONV_2D 3 (tensor 'block/conv'), row 4, column 0, channel 7: 12 instead of 11 ...

The oracle keeps every tensor of the int8 graph; the executable NPU shows the output of every block operation.  Vela's
debug database (`hil.targets.mapping`) says which tensor an operation writes.  So the stream is followed operation by
operation, each piece is laid where it belongs in its tensor, and the first element that is not the oracle's is
reported.

- An operator may be cut into stripes of rows (cascades) and slices of depth; they are laid out in the order in which
  they come, slices of a stripe first.
- What Vela made up for a step inside an operator (the parts of a softmax) has no counterpart and is passed over: a
  fault there shows in the operator's own output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.npu.errors import BadInputError
from hil.npu.operations import BlockOperation, Operation
from hil.targets.base import Array, Deployable
from hil.targets.graph import State, read_graph
from hil.targets.interpreter import Interpreter
from hil.targets.mapping import MappedCommand

Point = tuple[int, int, int]


@dataclass(frozen=True)
class Difference:
    """The first element that differs.

    `operator_index` and `operator` name the TFLite operator of the int8 file, `tensor` its output, `at` the element
    (height, width, channel).  `got` is the NPU's value, `expected` the oracle's.  The command is the one at
    `word_offset` of the `stream`-th command stream; None where the operator ran on the CPU or could not be followed.
    """

    operator_index: int
    operator: str
    tensor: str
    at: tuple[int, ...]
    got: int
    expected: int
    stream: int | None = None
    word_offset: int | None = None

    def __str__(self) -> str:
        where = f" (command at word {self.word_offset} of stream {self.stream})" if self.word_offset is not None else ""
        return (
            f"{self.operator}, operator {self.operator_index}, output {self.tensor!r}, element {list(self.at)}: "
            f"{self.got} instead of {self.expected}{where}"
        )


def first_difference(model: Deployable, mapping: Sequence[MappedCommand], inputs: Sequence[Array]) -> Difference | None:
    """Runs one sample (arrays with a leading axis of 1) on the oracle and on the executable NPU.

    None if everything that can be compared is equal.  Raises `BadInputError` without both files of the model.
    """
    if model.int8 is None or model.compiled is None:
        raise BadInputError("to find a difference takes the int8 model and what Vela made of it")
    oracle = Interpreter(model.int8)
    expected = oracle.intermediate(inputs)
    follower = _Follower({(entry.stream, entry.word_offset): entry for entry in mapping}, expected)
    outputs = read_graph(model.compiled).run([array[:1] for array in inputs], State(), follower)
    if follower.found is not None:
        return follower.found
    for spec, output in zip(oracle.signature.outputs, outputs, strict=True):
        reference = expected[spec.name].reshape(output[0].shape)
        at = _first(output[0], reference)
        if at is not None:
            index = oracle.signature.operator_outputs.index(spec.name)
            kind = oracle.signature.operators[index]
            return Difference(index, kind, spec.name, at, int(output[0][at]), int(reference[at]))
    return None


@dataclass
class _Follower:
    """A trace that compares as it goes."""

    mapping: dict[tuple[int, int], MappedCommand]
    expected: dict[str, Array]
    found: Difference | None = None
    _laid: dict[tuple[int, int], Point] = field(default_factory=dict)

    def __call__(self, stream: int, operation: Operation, ofm: Array) -> None:
        entry = self.mapping.get((stream, operation.word_offset))
        if self.found is not None or entry is None or not isinstance(operation, BlockOperation):
            return
        start = self._next(entry, operation.ofm.shape)
        reference = self.expected.get(entry.tensor) if entry.tensor else None
        if start is None or reference is None or reference.size != np.prod(entry.shape):
            return
        if reference.dtype != ofm.dtype:
            return
        window = tuple(slice(low, low + size) for low, size in zip(start, operation.ofm.shape, strict=True))
        at = _first(ofm[0], reference.reshape(entry.shape)[window])
        if at is not None:
            place = tuple(low + offset for low, offset in zip(start, at, strict=True))
            self.found = Difference(
                entry.operator_index,
                entry.operator,
                entry.tensor,
                place,
                int(ofm[0][at]),
                int(reference.reshape(entry.shape)[place]),
                stream,
                operation.word_offset,
            )

    def _next(self, entry: MappedCommand, shape: Point) -> Point | None:
        """Where in its tensor this piece of an operator's output lies; None if the pieces do not fit together."""
        key = entry.stream, entry.step
        row, column, channel = self._laid.get(key, (0, 0, 0))
        height, width, depth = shape
        part = entry.part
        if row + height > part[0] or column + width > part[1] or channel + depth > part[2]:
            return None
        following = row, column, channel + depth
        if following[2] == part[2]:
            following = row, column + width, 0
        if following[1] == part[1]:
            following = row + height, 0, 0
        self._laid[key] = following
        first = entry.origin
        return first[0] + row, first[1] + column, first[2] + channel


def _first(got: Array, expected: Array) -> tuple[int, ...] | None:
    differs = np.argwhere(got != expected)
    return tuple(int(index) for index in differs[0]) if len(differs) else None
