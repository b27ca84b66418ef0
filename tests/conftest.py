"""What every test may use: foreign models and recordings, if this machine has them; damage to files and processes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hil.core.worker import Worker
from hil.targets.firmware.compilers import zig

MODELS = ("ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8")

os.environ["TF_NUM_INTRAOP_THREADS"] = "1"  # a test may start TensorFlow before the harness trains in the same process

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


@pytest.fixture(scope="session")
def missing() -> Callable[[object], NoReturn]:
    """`missing(reason)` skips where something is not installed, and fails where CI says that it should be."""

    def stop(reason: object) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))

    return stop


@pytest.fixture(scope="session")
def zig_wheel(missing: Callable[[object], NoReturn]) -> None:
    """The test compiles C by the wheel `ziglang`."""
    if zig() is None:
        missing("the wheel ziglang is not installed")


@pytest.fixture
def damaged() -> Callable[..., Iterator[bytes]]:
    """`damaged(data, seed, first)`: sixty copies of `data`, each with three flipped bits from byte `first` on."""

    def copies(data: bytes, seed: int, first: int) -> Iterator[bytes]:
        generator = np.random.default_rng(seed)
        for _ in range(60):
            copy = bytearray(data)
            for position in generator.integers(first, len(data), 3):
                copy[position] ^= 1 << int(generator.integers(8))
            yield bytes(copy)

    return copies


Killed = Callable[[Callable[[], Worker]], contextlib.AbstractContextManager[None]]


@pytest.fixture
def killed() -> Killed:
    """`with killed(worker)`: the process of `worker()` is killed every twentieth of a second, before it is up."""

    @contextlib.contextmanager
    def keep_killing(worker: Callable[[], Worker]) -> Iterator[None]:
        done = threading.Event()

        def kill() -> None:
            while not done.wait(0.05):
                pid = worker().pid
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield
        finally:
            done.set()
            killer.join()

    return keep_killing
