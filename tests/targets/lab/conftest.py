"""Fixtures of the lab's tests: a lab that runs, for one module alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.targets.lab.installation import find_python

from .lab import Lab, running


@pytest.fixture(scope="session")
def labgrid(missing: Callable[[object], NoReturn]) -> None:
    """The test runs labgrid."""
    try:
        find_python()
    except UnavailableError as error:
        missing(error)


@pytest.fixture(scope="module")
def lab(labgrid: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A coordinator on loopback, and what a test adds to it."""
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("lab")) as made:
        patch.setenv("LG_COORDINATOR", made.address)
        patch.setenv("HIL_LAB_PATIENCE", "0")
        yield made
