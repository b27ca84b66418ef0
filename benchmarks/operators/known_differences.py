"""What is known of cells that are not equal, and of operators without a comparison: read by the table and the tests.

Every cell of the table that has mismatching cases must have a reason here, and every reason such a cell.
"""

from __future__ import annotations

DIFFERENCES: dict[tuple[str, str], str] = {}
"""Reason by (operator, type) for cells in which cases differ."""

OWN_ARITHMETIC: dict[str, str] = {}
"""By operator, why its cases are held to arithmetic of the suite's own and not to the oracle, and what that is."""

NO_CASES: dict[str, str] = {}
"""By operator, why an operator of Vela's list of supported operators has no cases."""
