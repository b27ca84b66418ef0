"""Outcome of one case under one setting.

    outcome(case, prepare(case), setting).kind        # "equal", "differs", "cpu", ...

========  ============================================================================================
kind      meaning
========  ============================================================================================
equal     placed on the NPU, and every element is the oracle's
differs   placed, and some elements are not, or `sim` does not run what Vela made
cpu       Vela leaves the operator under test to the CPU: nothing of the NPU is shown
refused   Vela does not compile the model
crashed   Vela's process ends over the model
no oracle the reference kernels do not take the model, and the case has no arithmetic of its own
========  ============================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, CompileError
from hil.harness.vela.compiler import compile_model
from hil.targets.base import Deployable
from hil.targets.execution.interpreter import Interpreter
from hil.targets.execution.signature import read_signature
from hil.targets.sim.target import SimTarget
from tests.support.operators.case import Case
from tests.support.operators.settings import Setting

KINDS = ("equal", "differs", "cpu", "refused", "crashed", "no oracle")


@dataclass(frozen=True)
class Outcome:
    """`elements` that differ, by at most `largest`; `detail` is the error's line, if there was one."""

    kind: str
    elements: int = 0
    largest: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Prepared:
    """A case's model, inputs and right outputs, or the reason for which there are none."""

    model: bytes
    inputs: list[Array]
    expected: Sequence[Array]
    refusal: str = ""


def prepare(case: Case) -> Prepared:
    """Makes the model and has the oracle run it."""
    model = case.model()
    inputs = case.inputs(model)
    if case.arithmetic is not None:
        return Prepared(model, inputs, case.arithmetic(model, inputs))
    try:
        return Prepared(model, inputs, Interpreter(model).run(inputs))
    except BadInputError as error:
        return Prepared(model, inputs, (), str(error))


def outcome(case: Case, prepared: Prepared, setting: Setting) -> Outcome:
    """Compiles and runs a case."""
    if prepared.refusal:
        return Outcome("no oracle", detail=prepared.refusal)
    vela = setting.vela()
    try:
        compiled = compile_model(prepared.model, vela, name=case.key)
    except CompileError as error:
        return Outcome("crashed" if "crashed" in error.args[0] else "refused", detail=_line(error))
    signature = read_signature(compiled.model)
    if not signature.compiled or case.operator in signature.cpu_operators:
        return Outcome("cpu")
    deployable = Deployable(None, compiled.model, vela)
    try:
        got = SimTarget().run(deployable, prepared.inputs).outputs
    except BadInputError as error:
        return Outcome("differs", detail=_line(error))
    return _compare(got, prepared.expected)


def _compare(got: Sequence[Array], expected: Sequence[Array]) -> Outcome:
    elements, largest = 0, 0
    for ours, right in zip(got, expected, strict=True):
        if ours.dtype != right.dtype or ours.size != right.size:
            return Outcome("differs", detail=f"{ours.dtype}{ours.shape} instead of {right.dtype}{right.shape}")
        distance = np.abs(ours.reshape(right.shape).astype(np.int64) - right.astype(np.int64))
        elements += int(np.count_nonzero(distance))
        largest = max(largest, int(distance.max(initial=0)))
    return Outcome("differs" if elements else "equal", elements, largest)


def _line(error: Exception) -> str:
    return " ".join(str(error.args[0]).split())[:200]
