"""Fixtures of all tests: models and recordings, programs that may be missing, damage to files and processes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from filelock import FileLock

from hil.core.errors import UnavailableError
from hil.core.npu_config import NpuConfig
from hil.core.worker import Worker
from hil.targets.firmware.compilers import zig

if TYPE_CHECKING:
    from hil.fvp.inference.firmware import Firmware

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ["HIL_THREADS"] = "1"  # xdist's processes share the cores; a thread more would train other weights
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"  # a test may start TensorFlow before the harness trains in the same process

with contextlib.suppress(ImportError):  # tests/on_target runs without the test extras
    from hypothesis import HealthCheck, settings

    settings.register_profile("any-load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any-load")

# A shell's background job ignores SIGINT, and so would every child that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_LONGEST = "test_the_tutorial_prints_what_it_shows"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests of a file that share a fixture of the module to one of xdist's workers: it is made once.

    The longest test begins first: at the end, three workers would wait for the fourth.
    """
    items.sort(key=lambda item: item.name != _LONGEST)
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        scopes = {defined[-1].scope for defined in fixtures.name2fixturedefs.values()} if fixtures else set()
        if "module" in scopes and not any(item.iter_markers("xdist_group")):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(item.config.rootpath))))


@pytest.hookimpl(tryfirst=True)  # before the fixtures of a module, which may make networks
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seeds the initial weights of networks by the test's file: they depend on no chance and on no test before.

    Keras draws the seeds of its initializers from Python's generator, or from its own after `set_random_seed`.
    """
    random.seed(item.path.relative_to(item.config.rootpath).as_posix())
    if "tf_keras.src.backend" in sys.modules:
        vars(sys.modules["tf_keras.src.backend"]._SEED_GENERATOR).clear()


@pytest.fixture(scope="session", autouse=True)
def _plugins_of_inner_runs() -> Iterator[None]:
    """A pytest that a test starts does without the plugins of hypothesis and anyio, a third of its imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio")
        yield


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
def glacier() -> NpuConfig:
    """Memories with a flash so slow that a wait for it takes most of the 2^32 that a counter of events holds."""
    (folder,) = find_spec("ethosu").submodule_search_locations  # type: ignore[union-attr]
    section = "[System_Config.Glacier]\ninherit=System_Config.Ethos_U55_High_End_Embedded\n"
    ini = (Path(folder) / "config_files" / "Arm" / "vela.ini").read_text()
    text = f"{ini}\n{section}OffChipFlash_read_latency=4000000000\n"
    return NpuConfig(system_config="Glacier", config_text=text)


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


@pytest.fixture(scope="session")
def qemu(missing: Callable[[object], NoReturn]) -> None:
    """The test runs QEMU."""
    if shutil.which("qemu-system-arm") is None:
        missing("qemu-system-arm is not installed")


@pytest.fixture(scope="session")
def runner(qemu: None, missing: Callable[[object], NoReturn]) -> Firmware:
    """Arm's inference runner."""
    from hil.fvp.inference import firmware

    try:
        return firmware.runner()
    except UnavailableError as error:
        missing(error)


@pytest.fixture(scope="session")
def compiled(shared_models: Path) -> Callable[..., tuple[bytes, bytes]]:
    """(int8, Vela's output) of a shared model for an accelerator."""
    from hil.harness.vela.compiler import compile_model
    from hil.harness.vela.settings import VelaSettings

    def compile_shared(name: str, accelerator: str = "ethos-u55-128") -> tuple[bytes, bytes]:
        int8 = (shared_models / f"{name}.tflite").read_bytes()
        return int8, compile_model(int8, VelaSettings(accelerator)).model

    return compile_shared


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Gives a model of `tests.support.small_models` by name; workers of one run share the files."""
    from tests.support.small_models import MODELS

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / f"made-{run}" if run else base / "made"
    folder.mkdir(exist_ok=True)

    def get(name: str) -> bytes:
        path = Path(folder) / f"{name}.tflite"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                path.write_bytes(MODELS[name]())
        return path.read_bytes()

    return get
