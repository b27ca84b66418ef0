"""Display of a status: a word, a sign and a colour, so that colour alone never carries the meaning."""

from __future__ import annotations

from hil.harness.drawing.canvas import AMBER, GREEN, PALE, RED
from hil.harness.tree.result import Leaf, LeafStatus

SIGNS = {LeafStatus.MET: "✓", LeafStatus.MISSED: "✗", LeafStatus.MISMATCH: "≠", LeafStatus.FAILED: "!"}
COLORS = {LeafStatus.MET: GREEN, LeafStatus.MISSED: AMBER, LeafStatus.MISMATCH: RED, LeafStatus.FAILED: RED}
MARKERS = {LeafStatus.MET: "o", LeafStatus.MISSED: "X"}
"""Shape of a point; a leaf of another status has no point."""
WINNER = "★"
NOT_WALKED = "not walked to"


def sign(leaf: Leaf | None) -> str:
    return SIGNS[leaf.status] if leaf else "○"


def color(leaf: Leaf | None) -> str:
    return COLORS[leaf.status] if leaf else PALE


def word(leaf: Leaf | None) -> str:
    return leaf.status.value if leaf else NOT_WALKED
