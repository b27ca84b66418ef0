"""Contradictions within a comparison: a tensor that was assembled from pieces and cannot be what the run computed with.

Where an operation writes in its tensor is known from Vela's debug database, which may say it wrongly or in part.  If a
tensor in pieces differs and the model's outputs are equal, either the difference is lost on the way to them, or the
pieces are laid wrongly.  The reference kernels decide it: they go on from the pieces, and reach the run's outputs only
in the first case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hil.core.arrays import Array, bit_equal
from hil.core.errors import BadInputError
from hil.core.tflite.model import TfliteModel, read_model
from hil.harness.diff.coverage import Compared, Coverage
from hil.harness.diff.trace import Trace, TracedTensor
from hil.targets.execution.interpreter import run_piece
from hil.targets.execution.submodel import Submodel


def withdraw(compared: Sequence[Compared], got: Trace, expected: Trace, int8: bytes) -> list[Compared]:
    """`compared`, the outputs of the operators of `int8` in order, without the differences that a run contradicts."""
    model = read_model(int8)
    names = {model.main.tensors[index].name for index in model.main.outputs}
    if not all(one.equal for one in compared if one.tensor in names):
        return list(compared)
    differing = {one.tensor for one in compared if one.mismatches}
    result = []
    for one in compared:
        sides = ((got, expected), (expected, got)) if one.mismatches else ()
        if any(_is_contradicted(one.tensor, *side, differing, model, int8) for side in sides):
            reason = f"its pieces differ in {one.mismatches:,} elements, but the run's outputs do not follow from them"
            one = replace(one, how=Coverage.NOT, reason=reason, mismatches=0)
        result.append(one)
    return result


def _is_contradicted(name: str, run: Trace, other: Trace, differing: set[str], model: TfliteModel, int8: bytes) -> bool:
    """True if the outputs of `run` are not those that follow from its tensor `name` in pieces.

    False also where that cannot be computed.
    """
    form = next((form for form in run.tensors.get(name, ()) if form.owner is not None), None)
    if form is None:
        return False
    value = _filled(form, other.tensors.get(name, ()))
    piece = _behind(name, model)
    inputs = [
        value if _name(model, i) == name else _known(_name(model, i), run, other, differing) for i in piece.inputs
    ]
    if not piece.outputs or any(found is None for found in inputs):
        return False
    try:
        outputs = run_piece(int8, piece, [found for found in inputs if found is not None], len(value))
    except BadInputError:
        return False
    there = [run.tensors[_name(model, index)][0].values for index in piece.outputs]
    return not all(bit_equal(one.ravel(), two.ravel()) for one, two in zip(outputs, there, strict=True))


def _filled(form: TracedTensor, others: Sequence[TracedTensor]) -> Array:
    """The values of a tensor in pieces, with another run's where none of them wrote."""
    full = next((other.values for other in others if other.values.size == form.values.size), form.values)
    return np.where(form.written(), form.values, full.reshape(form.values.shape))


def _known(name: str, run: Trace, other: Trace, differing: set[str]) -> Array | None:
    """The value of a tensor that both runs agree on."""
    forms = (*other.tensors.get(name, ()), *run.tensors.get(name, ()))
    whole = (form.values for form in forms if form.written().all())
    return None if name in differing else next(whole, None)


def _behind(name: str, model: TfliteModel) -> Submodel:
    """The operators that compute the model's outputs from a tensor, and what else they read."""
    graph = model.main
    reached = {tensor.index for tensor in graph.tensors if tensor.name == name}
    start = set(reached)
    operators = []
    for operator in graph.operators:
        if reached & {*operator.inputs} and not start & {*operator.outputs}:
            operators.append(operator)
            reached |= {*operator.outputs}
    read = {index for operator in operators for index in operator.inputs if index >= 0} - (reached - start)
    inputs = [i for i in sorted(read) if graph.tensors[i].data is None and not graph.tensors[i].is_variable]
    outputs = [index for index in dict.fromkeys(graph.outputs) if index in reached - start]
    return Submodel(tuple(operator.index for operator in operators), tuple(inputs), tuple(outputs))


def _name(model: TfliteModel, index: int) -> str:
    return model.main.tensors[index].name
