"""What every test may use: the folder of foreign models and recordings, if this machine has one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

MODELS = ("ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8")

# A shell's background job ignores SIGINT, and so would every child that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _test_data(folder: str) -> Path:
    """The folder that HIL_TEST_DATA names; a public clone has none, so its absence always skips."""
    root = os.environ.get("HIL_TEST_DATA", "")
    path = Path(root) / folder
    if not root or not path.is_dir():
        pytest.skip(f"HIL_TEST_DATA names no folder with {folder}/")
    return path


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Folder of int8 models that this project did not make."""
    return _test_data("models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of recordings (`fsdd/recordings/*.wav`)."""
    return _test_data("data")
