"""Limits of layers: patterns, groups, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hil.core.errors import BadInputError
from hil.harness.profile.layer_limits import LayerLimit, layer_limits, missed_limits
from hil.harness.profile.profile import Profile


def test_a_group_is_found_by_title_and_by_any_name_of_its_output(profile: Profile) -> None:
    every = profile.group("*")
    assert (every.cycles, every.share) == (profile.cycles, 1.0)
    convolutions = profile.group("CONV_2D *")
    assert convolutions.cycles == sum(layer.cycles for layer in profile.layers if layer.kind == "CONV_2D")
    assert convolutions.encoded_bytes == sum(layer.weights.encoded for layer in convolutions.layers if layer.weights)
    assert [layer.title for layer in profile.group("model/activation/Relu").layers] == ["CONV_2D 0"]
    assert [layer.title for layer in profile.group("CONV_2D 1").layers] == ["CONV_2D 1"]  # not CONV_2D 10
    with pytest.raises(BadInputError, match=r"no layer matches 'conv1\*' \(there are: CONV_2D 0, "):
        profile.group("conv1*")


def test_missed_limits_are_lines(profile: Profile) -> None:
    limits = layer_limits({"layer": "ADD 3", "max_cycles": 20_000, "max_share": 0.5, "max_sram_bytes": 32_767})
    lines = missed_limits(profile, limits)
    assert lines == [
        "ADD 3: cycles 26,406, limit 20,000, 6,406 too much",
        "ADD 3: live SRAM 32,768 bytes, limit 32,767 bytes, 1 bytes too much",
    ]
    assert [LayerLimit.from_key(one.key, one.bound) for one in limits] == list(limits)


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({"layer": "*", "max_ms": 1}, "no limit max_ms of a layer"),
        ({"layer": "*"}, "has no limit"),
        ({"layer": 5, "max_cycles": 1}, "a layer is named by a text"),
        ({"layer": "*", "max_cycles": 0}, "a limit is a number above 0"),
        ({"layer": "*", "max_share": True}, "a limit is a number above 0"),
    ],
)
def test_what_is_no_limit_is_refused(keywords: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        layer_limits(keywords)
