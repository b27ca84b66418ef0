"""The registry of targets: options of the command line against what the chosen targets declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.targets import registry
from hil.targets.fvp import FvpOptions


def test_options_are_compared_by_what_they_mean() -> None:
    with pytest.raises(BadInputError, match=r"--engine arm: no option of target host or sim \(it is for fvp: --target"):
        registry.make_options(["host", "sim"], {"engine": "arm", "jobs": None})
    assert registry.make_options(["fvp"], {"engine": "open", "fvp-parameter": ["a=1"]}) == {
        "fvp": FvpOptions(engine="open", parameters=("a=1",))
    }
    with pytest.raises(BadInputError, match="--repetitions 0: at least 1"):
        registry.make_options(["serial"], {"repetitions": 0})
    declared = registry.declaration("fvp")
    words = registry.words(declared, FvpOptions(engine="arm", executable=Path("fvp"), parameters=("a=1", "b=2")))
    assert words == ["--engine", "arm", "--fvp-executable", "fvp", "--fvp-parameter=a=1", "--fvp-parameter=b=2"]
