"""Fixtures of the profile's tests: a browser, and profiles of a shared model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from hil.harness.profile.profile import Profile
from hil.harness.profile.profiled_model import ProfiledModel, profile_of
from hil.harness.vela.settings import VelaSettings

if TYPE_CHECKING:
    from tests.support.browser import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[object], NoReturn]) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    pytest.importorskip("selenium")
    from tests.support.browser import find_programs, start

    programs = find_programs()
    if programs is None:
        missing("Chromium and its driver are not installed")
    with start(tmp_path_factory.mktemp("browser"), programs) as started:
        yield started


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> bytes:
    """MLPerf Tiny's image classification."""
    return (shared_models / "resnet8_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def profile(resnet: bytes) -> Profile:
    """Its profile on an Ethos-U55-128, one operator on the CPU."""
    settings = VelaSettings("ethos-u55-128", options=("--ignore-ops AVERAGE_POOL_2D",))
    return profile_of(ProfiledModel("resnet8_int8.tflite", resnet), settings)
