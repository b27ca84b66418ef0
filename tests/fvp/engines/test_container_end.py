"""The end of runs in containers, on a real daemon: nothing is left of any."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil.core.errors import BootError, HangError
from hil.fvp.engines import container, container_session
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from tests.support.processes import running_with, wait_until_gone
from tests.support.thumb import Program

from . import docker_supervisor
from .conftest import RunInside
from .docker_daemon import Daemon

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.usefixtures("docker_environment")]

Compile = Callable[..., tuple[bytes, bytes]]


def test_a_program_is_killed_on_time_out(inside: RunInside) -> None:
    start = time.monotonic()
    with pytest.raises(HangError, match=r"did not end in 1 s"):
        inside("sleep", "600.25", limit_s=1)
    assert time.monotonic() - start < 30
    assert not running_with("600.25")


def test_firmware_that_does_not_end_is_ended_with_its_log(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    stuck = Program()
    stuck.send(b"INFO - Allocating tensors\n")
    stuck.code(0xE7FE)
    path = tmp_path / "stuck.axf"
    path.write_bytes(stuck.elf())
    int8, _ = compiled("kws_ref_int8")
    endless = firmware.Firmware(path, "", runner.layout)
    with pytest.raises(HangError, match="last line: INFO - Allocating tensors"):
        run_inference(int8, [bytes(490)], [12], time_limit_s=2, engine="docker", firmware=endless)


def test_an_image_without_a_shell_is_told(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(container.MOUNTS_VARIABLE)
    with pytest.raises(BootError, match="does not start"):
        container_session.run(daemon.client, daemon.image("hil-fvp"), ["true"], len, limit_s=60)


@pytest.fixture
def started(daemon: Daemon) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that runs a program in a container for a long time, and its child that holds the container."""
    code = (
        "import os, subprocess, sys\n"
        "os.environ['HIL_FVP_PARENT'] = str(os.getpid())\n"
        "child = subprocess.Popen([sys.executable, '-m', 'hil.fvp.engines.container_program', *sys.argv[1:]])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, daemon.image("hil-fvp"), "endless"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        _until(lambda: bool(running_with("987.5") and daemon.client.containers.list()), "no container")
        yield process, child
    finally:
        for pid in (process.pid, child):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _until(holds: Callable[[], bool], otherwise: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, otherwise
        time.sleep(0.02)


@pytest.mark.parametrize("whom", ["parent", "child"])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_leaves_no_container(
    daemon: Daemon, started: tuple[subprocess.Popen[bytes], int], whom: str, sign: signal.Signals
) -> None:
    """The kernel signals the death of any process to the child, and the end of its input ends the container."""
    process, child = started
    os.kill(process.pid if whom == "parent" else child, sign)
    _until(lambda: not daemon.containers() and not running_with("987.5"), "the container is still there")


def test_what_a_killed_run_left_is_gone_after_the_next(daemon: Daemon, inside: RunInside) -> None:
    """A run that is killed between making and starting its container leaves one that no daemon removes."""
    settings = container._settings(["true"], 0, container.ContainerLimits())
    dead = subprocess.run([sys.executable, "-c", ""], check=True) and 2**22 + 1
    labels = {
        "dead": container.owner(dead),
        "reused": container.owner().rpartition(" ")[0] + " 1",
        "living": container.owner(),
        "elsewhere": container.owner(dead).replace(container._machine(), "another/machine"),
        "other": None,
    }
    made = {}
    for name, label in labels.items():
        of_other = {} if label is None else {container.LABEL: label}
        made[name] = daemon.client.containers.create("hil-fvp", **{**settings, "labels": of_other})
    inside("true")
    left = daemon.containers()
    for name, one in made.items():
        assert (one.id in left) == (name in ("living", "elsewhere", "other")), name
        if one.id in left:
            one.remove()


def test_the_tests_own_daemon_ends_with_who_started_it(tmp_path: Path) -> None:
    """Killed tests close the other end of the standard input of its supervisor; there needs no Docker for that."""
    folder = tmp_path / "daemon"
    folder.mkdir()
    start = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); sys.stdin.read()"
    words = [
        sys.executable,
        docker_supervisor.__file__,
        str(folder),
        "sh",
        "-c",
        f"touch '{folder}/up'; exec sleep 612.75",
    ]
    tests = subprocess.Popen([sys.executable, "-c", start, *words], stdin=subprocess.PIPE)
    until = time.monotonic() + 120
    while not (folder / "up").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert running_with("612.75")
    tests.kill()
    tests.communicate()
    assert wait_until_gone("612.75", 30) == []
    assert not folder.exists()
