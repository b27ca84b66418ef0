"""Inputs of earlier runs: what is gone, or never was there, is named and ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.harness.attribution.stored_inputs import StoredInputs
from hil.harness.store.store import Store


@pytest.mark.parametrize(
    ("part", "text", "reason"),
    [
        ("model", "3f0c91aa" * 8, "the int8 file 3f0c91aa is no longer in the store"),
        ("model", "", "no int8 file is recorded"),
        (
            "vela",
            "unknown: the model was compiled elsewhere",
            "'unknown: the model was compiled elsewhere' is no version",
        ),
        ("vela", "../../etc", "'../../etc' is no version of Vela"),
        ("vela", "", "no version of Vela is recorded"),
        ("vela_config", "0a" * 32, "the text of the Vela configuration 0a0a0a0a is not stored, only its hash"),
        ("memory_mode", "none", ""),
    ],
)
def test_a_part_that_is_not_there_is_named(tmp_path: Path, part: str, text: str, reason: str) -> None:
    assert StoredInputs(Store(tmp_path)).why_missing(part, text).startswith(reason)
