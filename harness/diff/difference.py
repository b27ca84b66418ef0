"""The first difference of two runs of one model: operator, tensor, element, both values, command that wrote it.

    expected, got = trace_reference(int8, inputs), trace_compiled(compiled, mapping, inputs)
    result = compare(got, expected, read_signature(int8))
    print(result.first)       # CONV_2D, operator 3, output 'block/conv', element [4, 0, 7]: 12 instead of 11 ...

The tensors of the model's operators are compared in the order of the operators, each as far as both runs show it
(`traced`).  What cannot be compared is named with its reason, so that "no difference" never means "not looked at":

- *fused*: the NPU computes the operator together with a later one and never writes its output;
- *inside a cascade*: it is never whole in memory, and its pieces cannot be assembled;
- *another form*: it is there in another type or size;
- *no command of its own*: a RESHAPE that moves nothing, say.

What was not compared and feeds the operator that differs may be the one at fault: these are its suspects (`suspects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hil.core.arrays import Array, largest_difference, unequal
from hil.core.errors import BadInputError
from hil.harness.diff.contradictions import withdraw
from hil.harness.diff.coverage import Compared, Coverage
from hil.harness.diff.known_defects import explain
from hil.harness.diff.suspects import describe, trace_back
from hil.harness.diff.trace import Trace, TracedTensor, trace_compiled, trace_reference
from hil.harness.vela.mapping import MappedCommand
from hil.targets.base import Deployable
from hil.targets.execution.signature import Signature, read_signature


@dataclass(frozen=True)
class Difference:
    """The first element that differs of an operator's output.

    `operator_index` and `operator` name the TFLite operator of the int8 file, `tensor` its output, `at` the element in
    it (without a leading batch of 1; height, width and channel where both runs are the NPU's).  `got` is the value of
    the run that is looked at, `expected` the other's.  The command is the one at `word_offset` of the `stream`-th
    command stream; None where the operator ran on the CPU or could not be followed.  `against` is the same for the
    other run (stream, word offset).  `elements` of the tensor differ over all samples, by at most `largest`; `sample`
    is the first that has one.  `suspects` are the outputs that were not compared and from which data flows into the
    operator: it is the first that is seen to differ, and any of them may be at fault.  `known` is a line on a defect of
    Vela that explains it, or empty.
    """

    operator_index: int
    operator: str
    tensor: str
    at: tuple[int, ...]
    got: int | float
    expected: int | float
    stream: int | None = None
    word_offset: int | None = None
    against: tuple[int, int] | None = None
    sample: int = 0
    elements: int = 1
    largest: int | float = 0
    suspects: tuple[Compared, ...] = ()
    known: str = ""

    def __str__(self) -> str:
        where = f" (command at word {self.word_offset} of stream {self.stream})" if self.word_offset is not None else ""
        return (
            f"{self.operator}, operator {self.operator_index}, output {self.tensor!r}, element {list(self.at)}: "
            + "; ".join(
                filter(None, (f"{self.got} instead of {self.expected}{where}", *describe(self.suspects), self.known))
            )
        )


@dataclass(frozen=True)
class Comparison:
    """The compared tensors in the order of the operators, and the origins of what differs.

    An origin is an operator that differs while none that differs feeds it; none: equal.
    """

    origins: tuple[Difference, ...]
    tensors: tuple[Compared, ...]

    @property
    def first(self) -> Difference | None:
        """The first operator that differs, which always is an origin."""
        return next(iter(self.origins), None)


def compare(got: Trace, expected: Trace, signature: Signature, int8: bytes | None = None) -> Comparison:
    """Compares the outputs of all operators of the int8 model that `signature` is of.

    With the file `int8`, a difference of a tensor in pieces is withdrawn if the run's outputs contradict it.
    """
    pairs = [
        _compare(got, expected, Compared(index, operator, tensor, Coverage.WHOLE))
        for index, (operator, outputs) in enumerate(zip(signature.operators, signature.all_outputs, strict=True))
        for tensor in outputs
    ]
    tensors = [found for found, _ in pairs]
    if int8 is not None and any(found.mismatches for found in tensors):
        tensors = withdraw(tensors, got, expected, int8)
    differences: dict[int, Difference] = {}
    for found, (_, difference) in zip(tensors, pairs, strict=True):
        if found.mismatches and difference is not None:
            differences.setdefault(found.operator_index, difference)
    suspects = {index: trace_back(index, tensors, signature) for index in differences}
    origins = (
        replace(differences[index], suspects=found, known=explain(index, tensors, signature))
        for index, found in suspects.items()
        if found is not None
    )
    return Comparison(tuple(origins), tuple(tensors))


def first_difference(model: Deployable, mapping: Sequence[MappedCommand], inputs: Sequence[Array]) -> Difference | None:
    """Runs the samples on the oracle and on the executable NPU and returns their first difference.

    None if everything that can be compared is equal.  Raises `BadInputError` without both files of the model.
    """
    if model.int8 is None or model.compiled is None:
        raise BadInputError("to find a difference takes the int8 model and what Vela made of it")
    expected, got = trace_reference(model.int8, inputs), trace_compiled(model.compiled, mapping, inputs)
    return compare(got, expected, read_signature(model.int8), model.int8).first


def _compare(got: Trace, expected: Trace, about: Compared) -> tuple[Compared, Difference | None]:
    left, right = got.tensors.get(about.tensor, ()), expected.tensors.get(about.tensor, ())
    if not left or not right:
        trace = got if not left else expected
        reason = trace.why_missing(about.operator_index, about.tensor)
        return replace(about, how=Coverage.NOT, reason=reason, fused=trace.fuses(about.tensor)), None
    pair = next(((one, other) for one in left for other in right if _same_form(one, other)), None)
    if pair is None:
        reason = f"another form: {_form(left[0])} and {_form(right[0])}"
        return replace(about, how=Coverage.NOT, reason=reason), None
    return _compare_elements(*pair, about)


def _compare_elements(ours: TracedTensor, theirs: TracedTensor, about: Compared) -> tuple[Compared, Difference | None]:
    there = ours.written().ravel() & theirs.written().ravel()
    samples = len(ours.values)
    left, right = (tensor.values.reshape(samples, -1) for tensor in (ours, theirs))
    differs = unequal(left, right) & there
    how, reason = Coverage.WHOLE, ""
    if ours.cascaded or theirs.cascaded:
        how = Coverage.STRIPES
    if ours.alone or theirs.alone:
        how = Coverage.ALONE
    if not there.all():
        how, reason = Coverage.PARTLY, f"{int(there.sum())} of {there.size} elements are written"
    found = replace(about, how=how, reason=reason, mismatches=int(differs.sum()))
    if not found.mismatches:
        return found, None
    sample, flat = (int(index) for index in np.argwhere(differs)[0])
    stream, word_offset = ours.command_of(flat) or (None, None)
    return found, Difference(
        about.operator_index,
        about.operator,
        about.tensor,
        _element(theirs if ours.owner is not None else ours, flat),
        left[sample, flat].item(),
        right[sample, flat].item(),
        stream,
        word_offset,
        against=theirs.command_of(flat),
        sample=sample,
        elements=found.mismatches,
        largest=largest_difference(left[differs], right[differs]),
    )


def _same_form(one: TracedTensor, other: TracedTensor) -> bool:
    return one.values.dtype == other.values.dtype and one.values.size == other.values.size


def _form(tensor: TracedTensor) -> str:
    return f"{tensor.values.dtype.name} {'x'.join(map(str, tensor.values.shape[1:]))}"


def _element(tensor: TracedTensor, flat: int) -> tuple[int, ...]:
    """The coordinates of an element: of a tensor in pieces (height, width, channel), else its own without the batch."""
    shape = tensor.values.shape[1:]
    point = tuple(int(index) for index in np.unravel_index(flat, shape))
    return point[1:] if tensor.owner is None and len(shape) > 1 and shape[0] == 1 else point
