"""Outcomes of cases on the firmware and on the reference kernels.

    for case in chosen(4): print(case.key, measured(case))

=============  ===========================================================================================
kind           meaning
=============  ===========================================================================================
equal          every element is the reference kernels'
differs        some elements are not
missing        the firmware has no such operator
refused        the firmware has it, and does not take it so: the type, the shape, the arena it would need
no reference   the reference kernels do not take the model, or are known to be wrong
=============  ===========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, FaultError
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.interpreter import Interpreter
from tests.support.firmware_operators import cpu_cases
from tests.support.operators.case import Case
from tests.support.operators.families import all_cases
from tests.support.operators.outcome import Outcome

KINDS = ("equal", "differs", "missing", "refused", "no reference")

_MISSING = re.compile(r"Didn't find op|[Ff]ailed to get registration")


def chosen(count: int, operators: Sequence[str] = (), types: Sequence[str] = ()) -> Iterator[Case]:
    """`count` cases an operator and type, spread over all there are; only those asked for."""
    cells: dict[tuple[str, str], list[Case]] = {}
    for case in (*all_cases().values(), *cpu_cases.cases()):
        if (not operators or case.operator in operators) and (not types or case.dtype in types):
            cells.setdefault((case.operator, case.dtype), []).append(case)
    for members in cells.values():
        yield from (members[index] for index in sorted({len(members) * turn // count for turn in range(count)}))


def measured(case: Case) -> Outcome:
    """Runs a case on both."""
    model = case.model()
    inputs = case.inputs(model)
    try:
        expected = Interpreter(model).run(inputs) if case.arithmetic is None else case.arithmetic(model, inputs)
    except BadInputError as error:
        return Outcome("no reference", detail=_line(error))
    try:
        got = create("fvp", engine="open", jobs=1).run(Deployable(model, None), inputs).outputs
    except BadInputError as error:
        return Outcome("missing" if _MISSING.search(str(error)) else "refused", detail=_line(error))
    except FaultError as error:
        if not str(error).startswith("the firmware"):  # A failure of the machine's is no result.
            raise
        return Outcome("refused", detail=_line(error))
    return _compared(got, expected)


def _compared(got: Sequence[Array], expected: Sequence[Array]) -> Outcome:
    elements = largest = 0
    for ours, right in zip(got, expected, strict=True):
        distance = np.abs(ours.reshape(right.shape).astype(np.int64) - right.astype(np.int64))
        elements += int(np.count_nonzero(distance))
        largest = max(largest, int(distance.max(initial=0)))
    return Outcome("differs" if elements else "equal", elements, largest)


def _line(error: Exception) -> str:
    return " ".join(str(error.args[0]).split())[:200]
