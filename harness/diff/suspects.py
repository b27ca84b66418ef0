"""Suspects of a difference: operators that could not be compared, on the data path into an operator that differs.

    suspects = trace_back(14, compared, signature)
    describe(suspects)      # suspect first: SUM 13, which feeds it and could not be compared (another form: ...)

The first operator that differs need not be the one at fault: its input may be wrong already, where nothing was
compared.  So the graph is followed from the operator against the flow of data.  A path ends at a tensor that was
compared and is equal, and at the model's inputs and constants.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.harness.diff.coverage import Compared, Coverage
from hil.targets.execution.signature import Signature

_MOST_NAMES = 4
_VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators that compute nothing; without a command they do nothing at all."""
_HANDLES = ("VAR_HANDLE",)
"""Operators whose output is no data."""


def trace_back(operator_index: int, compared: Sequence[Compared], signature: Signature) -> tuple[Compared, ...] | None:
    """The suspects of an operator that differs, in the order of `compared`, which are the model's operators' outputs.

    None if another operator that differs feeds it, so that its own difference is no news.
    """
    own = [one for one in compared if one.operator_index == operator_index and one.mismatches]
    if any(one.how is Coverage.ALONE for one in own):
        return ()
    writers = {one.tensor: one for one in compared}
    differing = {one.operator_index for one in compared if one.mismatches}
    found: set[str] = set()
    seen: set[str] = set()
    readers = [operator_index]
    while readers:
        reader = readers.pop()
        for tensor in set(signature.operator_inputs[reader]) - seen:
            one = writers.get(tensor)
            if one is None or one.equal or one.operator_index >= reader:
                continue  # A name that a file gives twice may lead to a later operator.
            seen.add(tensor)
            if one.operator_index in differing:
                return None
            found.add(tensor)
            readers.append(one.operator_index)
    return tuple(one for one in compared if one.tensor in found and _can_be_at_fault(one))


def describe(suspects: Sequence[Compared]) -> list[str]:
    """One line for each reason for which suspects were not compared.

    Those with an output of their own come first.  One that is fused is suspect beside the operator that differs.
    """
    groups: dict[tuple[bool, Coverage, str], list[str]] = {}
    for one in sorted(suspects, key=lambda one: one.fused):
        groups.setdefault((one.fused, one.how, one.reason), []).append(str(one))
    lines: list[str] = []
    for (fused, how, reason), operators in groups.items():
        names = list(dict.fromkeys(operators))
        word = "too" if fused or lines else "first"
        feeds, were = ("feed", "were") if len(names) > 1 else ("feeds", "was")
        verb = f"{were} compared in part" if how is Coverage.PARTLY else "could not be compared"
        lines.append(f"suspect {word}: {_listed(names)}, which {feeds} it and {verb} ({reason})")
    return lines


def _can_be_at_fault(one: Compared) -> bool:
    if one.operator in _HANDLES or one.how is Coverage.ALONE:
        return False
    return not (one.fused and one.operator in _VIEWS)


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[: _MOST_NAMES - 1])} and {len(names) - _MOST_NAMES + 1} more"
