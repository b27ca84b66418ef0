"""What the FVP's tests share: the executable as users start it, compiled models, the oracle, a look for leftovers."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import UnavailableError
from hil.fvp.engines import container, image, search, shim
from hil.fvp.engines import container_session as session
from hil.fvp.inference import firmware as firmwares
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable

from .daemon import Daemon, NoDaemonError, python_folders, tree
from .keeper import mounts_below

COMMAND = (sys.executable, "-m", "hil.fvp.corstone300")
UART_OUT = ("-C", "mps3_board.uart0.out_file=-", "-C", "mps3_board.uart0.shutdown_on_eot=1")

Launch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def qemu(missing: Callable[[object], NoReturn]) -> None:
    """The test runs QEMU."""
    if shutil.which("qemu-system-arm") is None:
        missing("qemu-system-arm is not installed")


@pytest.fixture(scope="session")
def runner(qemu: None, missing: Callable[[object], NoReturn]) -> firmwares.Firmware:
    """Arm's inference runner."""
    try:
        return firmwares.runner()
    except UnavailableError as error:
        missing(error)


@pytest.fixture
def fvp(qemu: None, tmp_path: Path) -> Launch:
    """Starts the executable with the given arguments in a folder of its own and waits for its end."""

    def launch(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, timeout=60, cwd=tmp_path)

    return launch


@pytest.fixture(scope="session")
def compiled(shared_models: Path) -> Callable[..., tuple[bytes, bytes]]:
    """(int8, Vela's output) of a shared model for an accelerator."""

    def compile_shared(name: str, accelerator: str = "ethos-u55-128") -> tuple[bytes, bytes]:
        int8 = (shared_models / f"{name}.tflite").read_bytes()
        return int8, compile_model(int8, VelaSettings(accelerator)).model

    return compile_shared


def oracle(int8: bytes, *inputs: Array) -> list[bytes]:
    """What TensorFlow's reference kernels give for one sample, as bytes per output."""
    run = create("host").run(Deployable(int8, None), [np.asarray(data)[None] for data in inputs])
    return [output[0].tobytes() for output in run.outputs]


def children_of(pid: int) -> list[int]:
    """Ids of the living processes below `pid`."""
    parents = {int(stat.parent.name): _parent(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    below = {pid}
    for _ in range(4):
        below |= {child for child, parent in parents.items() if parent in below}
    return sorted(below - {pid})


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def running_with(text: str) -> list[int]:
    """Ids of the living processes in whose command line `text` stands."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in file.read_bytes():
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(text: str, seconds: float = 5.0) -> list[int]:
    """Waits until no process has `text` in its command line; gives those that stayed."""
    until = time.monotonic() + seconds
    while (left := running_with(text)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def code_after(child: subprocess.Popen[bytes], sign: signal.Signals) -> int:
    """The exit code of a child that gets the signal.  Python itself may lose a SIGINT while it starts, but not two."""
    try:
        for _ in range(2 if sign == signal.SIGINT else 1):
            child.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(10)
        raise AssertionError(f"it goes on after {sign.name}")
    finally:
        child.kill()
        child.wait()


# -- Docker

RunInside = Callable[..., session.Ended]


@pytest.fixture(scope="session")
def daemon(missing: Callable[[object], NoReturn]) -> Iterator[Daemon]:
    """A daemon with the image `hil-fvp`, in which the open executable bears Arm's name; nothing is left of it."""
    if importlib.util.find_spec("docker") is None:
        missing("the Docker SDK is not installed")
    folder = Path(tempfile.mkdtemp(prefix="hil-docker-"))  # Short: a socket's path has 107 bytes.
    try:
        with Daemon(folder) as running:
            name = search.EXECUTABLES["ethos-u55"][0]
            launcher, endless = shim.launcher("ethos-u55").encode(), b"#!/bin/sh\nexec sleep 987.5\n"
            running.load("hil-fvp", tree({f"opt/arm/bin/{name}": launcher, "opt/arm/bin/endless": endless}))
            yield running
        assert not mounts_below(folder)
        assert not running_with(str(folder))
        assert not folder.exists()
    except NoDaemonError as error:
        missing(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def docker_environment(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The daemon is the user's, and containers see this machine's Python, QEMU and project.  Each test leaves none."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv(container.MOUNTS_VARIABLE, ":".join(python_folders()))
    monkeypatch.delenv(image.IMAGE_VARIABLE, raising=False)
    yield
    assert daemon.containers() == []


@pytest.fixture
def inside(daemon: Daemon) -> RunInside:
    """Runs a program in a container as the engine does; its standard output goes to `uart`."""

    def run(*words: str, uart: Callable[[bytes], object] = len, **settings: object) -> session.Ended:
        return session.run(daemon.client, daemon.image("hil-fvp"), words, uart, **{"limit_s": 60, **settings})  # type: ignore[arg-type]

    return run
