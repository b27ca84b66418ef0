"""The verdict names what the winner is ahead in: no leaf is the fastest at equal cycles."""

from __future__ import annotations

import pytest

from hil.core.measurement import Measurement, Trust
from hil.harness.tree import Leaf, LeafStatus
from hil.harness.tree.walk import _distinction


def leaf(name: str, latency: float | None, weights: float, drop: float) -> Leaf:
    figures = {"latency": latency, "encoded_weights": weights, "accuracy_drop": drop}
    found = (Measurement(key, value, "", Trust.EXACT) for key, value in figures.items() if value is not None)
    return Leaf(name, ("ptq",), LeafStatus.MET, measurements=tuple(found))


@pytest.mark.parametrize(
    ("leaves", "text"),
    [
        ([("ptq", 0.2, 9, 0.0)], "ptq alone"),
        ([("ptq", 0.2, 9, 0.0), ("qat", 0.1, 9, 0.1)], "qat is the fastest"),
        ([("ptq", 0.1, 9, 0.0), ("qat", 0.1, 8, 0.1)], "of 2 equally fast, qat has the fewest encoded weights"),
        ([("ptq", 0.1, 9, 0.2), ("qat", 0.1, 9, 0.1)], "of 2 equally fast, qat has the least drop"),
        ([("ptq", 0.1, 9, 0.1), ("qat", 0.1, 9, 0.1)], "of 2 equally fast, ptq has no worse figures"),
        ([("ptq", None, 9, 0.1), ("qat", None, 8, 0.1)], "of unknown speed, qat has the fewest encoded weights"),
    ],
)
def test_the_winner_is_ahead_in_what_the_verdict_says(
    leaves: list[tuple[str, float | None, float, float]], text: str
) -> None:
    assert _distinction([leaf(*one) for one in leaves]) == text
