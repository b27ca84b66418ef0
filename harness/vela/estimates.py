"""Vela's own estimate of an operator's cycles, from its debug database (tables `perf` and `source`).

    read_estimates(tables)        # (OperatorEstimate(operator_index=0, cycles=14752), ...)

`tables` are those of `debug_database.read_tables`.  The C++ core alone writes it, for several subgraphs of the last one
only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hil.harness.vela.debug_database import Tables, operator_indices


@dataclass(frozen=True)
class OperatorEstimate:
    """Estimated `cycles` of a TFLite operator by its index in the int8 file's graph, -1 where unknown."""

    operator_index: int
    cycles: int


def read_estimates(tables: Tables) -> tuple[OperatorEstimate, ...]:
    """Estimates by operator, in the order of the model; none if the database has none."""
    origin = operator_indices(tables)
    found: Counter[int] = Counter()
    for row in tables.get("perf", []):
        found[origin.get(row.get("source_id", ""), -1)] += round(float(row.get("op_cycles") or 0))
    return tuple(OperatorEstimate(*pair) for pair in sorted(found.items()))
