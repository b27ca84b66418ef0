"""Fixtures of the profile's tests: profiles of a shared model."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.harness.profile.profile import Profile
from hil.harness.profile.profiled_model import ProfiledModel, profile_of
from hil.harness.vela.settings import VelaSettings


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> bytes:
    """MLPerf Tiny's image classification."""
    return (shared_models / "resnet8_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def profile(resnet: bytes) -> Profile:
    """Its profile on an Ethos-U55-128, one operator on the CPU."""
    settings = VelaSettings("ethos-u55-128", options=("--ignore-ops AVERAGE_POOL_2D",))
    return profile_of(ProfiledModel("resnet8_int8.tflite", resnet), settings)
