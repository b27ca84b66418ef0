"""All observable tensors of one inference, by name: of the reference kernels, or of a compiled model on `sim`.

    expected = trace_reference(int8, inputs)
    got = trace_compiled(compiled, mapping, inputs)
    got.tensors["block/conv"][0].values     # (samples, height, width, depth)

The reference kernels store every tensor.  On the NPU a tensor may never be whole in memory: in a *cascade* Vela cuts
operators into stripes of rows and runs them in turns, so that each needs only a few rows of the one before in a rolling
buffer.  But every block operation's output can be seen when it is written, and Vela's debug database says which tensor
it belongs to (`hil.harness.vela.mapping`).  So the pieces are assembled (`tensor_assembly`); a tensor whose pieces
have no certain place is left out with the reason.

Tensors that pass between operators of the compiled file, its inputs and outputs among them, are there without a
mapping too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hil.core.arrays import Array, bit_equal
from hil.harness.diff.tensor_assembly import WrittenPart, assemble
from hil.harness.vela.mapping import MappedCommand
from hil.npu.stream.operations import BlockOperation, Operation
from hil.targets.execution.graph import State, read_graph
from hil.targets.execution.interpreter import Interpreter


@dataclass(frozen=True)
class TracedTensor:
    """A tensor's `values`, (samples, *shape).

    One that was assembled from pieces has in `owner`, by element, the number of the command in `commands` (stream,
    word offset) that wrote it, -1 where none did.  `cascaded`: other operators ran between its pieces.  `alone`: its
    operator ran by itself, on the inputs that the reference kernels gave it.
    """

    values: Array
    owner: Array | None = None
    commands: tuple[tuple[int, int], ...] = ()
    cascaded: bool = False
    alone: bool = False

    def written(self) -> Array:
        """Mask of the elements that were written, bool of the shape of one sample."""
        return np.ones(self.values.shape[1:], bool) if self.owner is None else self.owner >= 0

    def command_of(self, flat: int) -> tuple[int, int] | None:
        """(stream, word offset) of the command that wrote the element with index `flat`, None if unknown."""
        return None if self.owner is None else self.commands[self.owner.flat[flat]]


@dataclass(frozen=True)
class Trace:
    """The tensors of an inference by name, and by name the reason for those that cannot be assembled.

    The compiler may write a tensor in several forms under one name, such as a padded copy: each is there.  `operators`
    are the indices of the model's operators to which commands belong; None if nothing is known of that.  `note` is a
    line on other kernels that stood in for the reference kernels.
    """

    tensors: Mapping[str, tuple[TracedTensor, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    operators: frozenset[int] | None = None
    note: str = ""

    def fuses(self, tensor: str) -> bool:
        """True if `tensor` is missing because no command writes it."""
        return self.operators is not None and tensor not in self.left_out

    def why_missing(self, operator_index: int, tensor: str) -> str:
        """Reason for which the output `tensor` of an operator is not among the tensors."""
        if tensor in self.left_out:
            return self.left_out[tensor]
        if self.operators is None:
            return "not known which command writes it"
        if operator_index in self.operators:
            return "fused into a later operator"
        return "no command of its own (fused into another operator's, or nothing to do)"


def trace_reference(int8: bytes, inputs: Sequence[Array], *, stand_ins: bool = True) -> Trace:
    """Runs every sample on the reference kernels (or a stand-in's), from a fresh state."""
    oracle = Interpreter(int8, stand_ins=stand_ins)
    samples = [oracle.intermediate([array[i : i + 1] for array in inputs]) for i in range(len(inputs[0]))]
    names = list(samples[0])  # each sample's array goes as it is stacked: all of a large network's are not held twice
    tensors = {name: (TracedTensor(np.stack([found.pop(name) for found in samples])),) for name in names}
    return Trace(tensors, note=oracle.stand_in)


def trace_compiled(compiled: bytes, mapping: Sequence[MappedCommand], inputs: Sequence[Array]) -> Trace:
    """Runs all samples on the executable NPU, from a fresh state; `mapping` may be empty."""
    gatherer = _Gatherer({(entry.stream, entry.word_offset): entry for entry in mapping})
    tensors: dict[str, tuple[TracedTensor, ...]] = {}

    def keep(name: str, values: Array) -> None:
        tensors[name] = (TracedTensor(values.copy()),)

    read_graph(compiled).run(inputs, State(), gatherer, keep)
    left_out = {}
    while gatherer.pieces:  # which go as their tensor is assembled
        pieces = gatherer.pieces.pop(next(iter(gatherer.pieces)))
        name = pieces[0].entry.tensor
        cascaded = name in gatherer.cascaded
        assembled = assemble(pieces, len(inputs[0]))
        if assembled is None:
            left_out[name] = f"{'inside a cascade: ' * cascaded}its pieces do not make up the tensor"
            continue
        commands = tuple((piece.entry.stream, piece.entry.word_offset) for piece in pieces)
        found = TracedTensor(assembled.values, assembled.owner, commands, cascaded)
        others = tuple(other for other in tensors.get(name, ()) if not _same(found, other))
        tensors[name] = (*others, found)  # What passed whole stays where the pieces say something else.
    left_out = {name: reason for name, reason in left_out.items() if name not in tensors}
    operators = frozenset(entry.operator_index for entry in mapping) if mapping else None
    return Trace(tensors, left_out, operators)


def _same(one: TracedTensor, whole: TracedTensor) -> bool:
    return bit_equal(one.values.ravel(), whole.values.ravel())


@dataclass
class _Gatherer:
    """A trace that collects the pieces of every tensor, and notes which alternate with those of others."""

    mapping: dict[tuple[int, int], MappedCommand]
    pieces: dict[tuple[Any, ...], list[WrittenPart]] = field(default_factory=dict)
    cascaded: set[str] = field(default_factory=set)
    _last: tuple[int, int] = (-1, -1)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def __call__(self, stream: int, operation: Operation, ofm: Array) -> None:
        entry = self.mapping.get((stream, operation.word_offset))
        if entry is None or not isinstance(operation, BlockOperation) or not entry.tensor:
            return
        step = entry.stream, entry.step
        if step in self._seen and step != self._last:
            self.cascaded.add(entry.tensor)
        self._last = step
        self._seen.add(step)
        form = entry.tensor, tuple(entry.shape), ofm.dtype
        self.pieces.setdefault(form, []).append(WrittenPart(entry, operation.ofm, ofm.copy()))
