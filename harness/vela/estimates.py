"""Vela's own estimate of an operator's cycles, from its debug database (tables `perf` and `source`).

    read_estimates(xml)        # (OperatorEstimate(operator_index=0, cycles=14752), ...)

The C++ core alone writes it, and for a model with several subgraphs of the last one only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hil.harness.vela.debug_database import read_tables


@dataclass(frozen=True)
class OperatorEstimate:
    """Estimated `cycles` of a TFLite operator by its index in the int8 file's graph, -1 where unknown."""

    operator_index: int
    cycles: int


def read_estimates(xml: str) -> tuple[OperatorEstimate, ...]:
    """Estimates by operator, in the order of the model; none if the database has none."""
    tables = read_tables(xml)
    origin = {row["id"]: int(row.get("ext_key", -1)) for row in tables.get("source", [])}
    found: Counter[int] = Counter()
    for row in tables.get("perf", []):
        found[origin.get(row.get("source_id", ""), -1)] += round(float(row.get("op_cycles") or 0))
    return tuple(OperatorEstimate(*pair) for pair in sorted(found.items()))
