"""The models of this repository, and their data where it is on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.harness.model import Model, load_model_file

FOLDER = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(scope="session")
def fashion(missing: Callable[[object], NoReturn]) -> Model:
    """The image classifier; its data is a system package, so in CI it must be there."""
    model = load_model_file(FOLDER / "fashion_cnn.py")
    try:
        model.data.files()
    except UnavailableError as error:
        missing(error)
    return model


@pytest.fixture(scope="session")
def digits() -> Model:
    """The keyword spotter; a public clone does not have its recordings."""
    model = load_model_file(FOLDER / "digits_dscnn.py")
    try:
        model.data.files()
    except UnavailableError as error:
        pytest.skip(f"HIL_TEST_DATA names no folder with recordings: {error}")
    return model
