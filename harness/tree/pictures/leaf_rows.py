"""Rows of the table of leaves on a page; `leaf_table.html.j2` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hil.harness.tree.pictures import status
from hil.harness.tree.result import ComparedLeaves, Leaf, LeafStatus
from hil.harness.tree.text_report import HEADINGS, format_figures, format_status, summary

LEAF_HEADINGS = tuple(heading.replace("\n", " ") for heading in HEADINGS)
"""Headings of the cells of a row, in one line each."""


def leaf_rows(found: ComparedLeaves) -> list[dict[str, Any]]:
    """Returns a row a leaf: name, status, cells in the order of `LEAF_HEADINGS`, and by how much it misses limits."""
    return [_row(leaf, found, cells) for leaf, cells in zip(found.leaves, format_figures(found), strict=True)]


def _row(leaf: Leaf, found: ComparedLeaves, cells: Sequence[str]) -> dict[str, Any]:
    look = {"kind": leaf.status.value, "sign": status.sign(leaf), "word": format_status(found, leaf)}
    why = "" if leaf.status is LeafStatus.MET else summary(leaf, whole=False).partition(": ")[2]
    return {
        "name": leaf.name,
        **look,
        "cells": cells,
        "why": why,
        "wins": leaf is found.winner,
    }


def pale_row(name: str) -> dict[str, Any]:
    """Returns the row of a leaf that a walk did not reach."""
    look = {"kind": "waiting", "sign": status.sign(None), "word": status.NOT_WALKED}
    return {"name": name, **look, "cells": [""] * len(LEAF_HEADINGS), "why": "", "wins": False}
