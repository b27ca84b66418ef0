"""Known defects of Vela that explain a difference, with what compiles the model right.

    explain(1, compared, signature)     # known: Regor, the compiler of Vela 5, ... (... compiles it right)

They are those of the conformance table that a model's graph shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.harness.diff.coverage import Compared
from hil.targets.execution.signature import Signature

_RESIZED_AND_JOINED = (
    "known: Regor, the compiler of Vela 5 (seen in 5.2), writes a RESIZE_BILINEAR with half-pixel centres to the first "
    "channels of a CONCATENATION, also where it is another input than the first "
    "(--vela-option=--debug-force-legacy-core or Vela 4.2 compiles it right, "
    "or make the resized tensor the first input)"
)


def explain(operator_index: int, compared: Sequence[Compared], signature: Signature) -> str:
    """One line on the defect that explains the difference of an operator, empty if none is known.

    `compared` are the outputs of the model's operators; the resized tensor has no command of its own.
    """
    if signature.operators[operator_index] != "CONCATENATION":
        return ""
    resized = {one.tensor for one in compared if one.operator == "RESIZE_BILINEAR" and one.fused}
    return _RESIZED_AND_JOINED if resized & {*signature.operator_inputs[operator_index][1:]} else ""
