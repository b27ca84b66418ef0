"""The engine `docker` on a real daemon: what a program in its containers can do, and what is left of it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.fvp import engine, firmware
from hil.fvp.engines import container, image, search, session, shim
from hil.fvp.errors import BootError, HangError, ProtocolError
from hil.fvp.inference import MemorySettings, run_inference
from hil.npu.errors import BadInputError, UnavailableError
from hil.targets import create
from hil.targets.base import Deployable, Trust

from .conftest import _missing, oracle, running_with
from .daemon import Daemon, NoDaemonError, mounts_below, python_folders, tree, with_libraries
from .test_install import Server, packed
from .test_install import server as server  # a fixture of this module too
from .thumb import Program

pytestmark = pytest.mark.xdist_group("docker")

Compile = Callable[..., tuple[bytes, bytes]]
Run = Callable[..., session.Ended]
PROGRAM = search.EXECUTABLES["ethos-u55"][0]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with the image `hil-fvp`, in which the open executable bears Arm's name; nothing is left of it."""
    if importlib.util.find_spec("docker") is None:
        _missing("the Docker SDK is not installed")
    folder = Path(tempfile.mkdtemp(prefix="hil-docker-"))  # Short: a socket's path has 107 bytes.
    try:
        with Daemon(folder) as running:
            launcher = shim.launcher("ethos-u55").encode()
            endless = b"#!/bin/sh\nexec sleep 987.5\n"
            running.load("hil-fvp", tree({f"opt/arm/bin/{PROGRAM}": launcher, "opt/arm/bin/endless": endless}))
            yield running
        assert not mounts_below(folder)
        assert not running_with(str(folder))
    except NoDaemonError as error:
        _missing(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def environment(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The daemon is the user's, and containers see this machine's Python, QEMU and project.  Each test leaves none."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv(container.MOUNTS_VARIABLE, ":".join(python_folders()))
    monkeypatch.delenv(image.IMAGE_VARIABLE, raising=False)
    yield
    assert daemon.containers() == []


@pytest.fixture
def inside(daemon: Daemon) -> Run:
    """Runs a program in a container as the engine does; its standard output goes to `uart`."""

    def run(*words: str, uart: Callable[[bytes], object] = len, **settings: object) -> session.Ended:
        return session.run(daemon.client, daemon.image("hil-fvp"), words, uart, **{"limit_s": 60, **settings})  # type: ignore[arg-type]

    return run


def shell(inside: Run, script: str, **settings: object) -> tuple[int, str]:
    """Exit code and words of a shell script in a container."""
    said = bytearray()
    ended = inside("sh", "-c", f"exec 2>&1\n{script}", uart=said.extend, **settings)
    return ended.code, said.decode()


# -- the engine

_BROKEN = b"#!/bin/sh\necho 'libpython3.9.so.1.0: cannot open shared object file: No such file' >&2; exit 127\n"


def test_an_inference_in_a_container_gives_what_one_outside_gives(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(0).integers(-128, 128, (49, 10, 1), np.int8)
    found = engine.find("docker")
    assert found.version.startswith(engine.find("open").version)
    slow = MemorySettings("Ethos_U55_Deep_Embedded", "Shared_Sram", _vela_ini())
    inside, outside = (
        run_inference(model, [data.tobytes()], [12], engine=name, memory=slow) for name in ("docker", "open")
    )
    assert list(inside.outputs) == oracle(int8, data) == list(outside.outputs)
    assert (inside.engine, inside.modelled, inside.counters) == ("docker", True, outside.counters)


def _vela_ini() -> str:
    import ethosu.config_files

    return (Path(ethosu.config_files.__path__[0]) / "Arm" / "vela.ini").read_text()


def test_auto_takes_the_image_and_says_why(compiled: Compile, runner: firmware.Firmware) -> None:
    if search.first() is not None:
        pytest.skip("this machine has Arm's FVP, which goes before")
    int8, model = compiled("kws_ref_int8")
    run = create("fvp").run(Deployable(int8, model), [np.zeros((3, 49, 10, 1), np.int8)])
    assert run.identity["engine"] == "docker"
    assert run.identity["engine_choice"] == "arm: not on this machine; docker: its image is here"
    assert next(m for m in run.measurements if m.name == "npu_cycles").trust is Trust.MODELLED


def test_an_image_that_has_no_fvp_is_told_with_what_makes_one(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.load("hil-empty", tree({}))
    daemon.load("hil-broken", tree({f"opt/arm/bin/{PROGRAM}": _BROKEN}))
    daemon.load("hil-arm", tree({f"opt/arm/bin/{PROGRAM}": b"#!/bin/sh\necho 'Fast Models [11.24.13 (Dec 4 2023)]'\n"}))
    for name, said in (
        ("hil-none", "there is no Docker image hil-none"),
        ("hil-empty", "has none of FVP_Corstone"),
        ("hil-broken", r"does not start: libpython3.*install libpython3\.9"),
    ):
        monkeypatch.setenv(image.IMAGE_VARIABLE, name)
        for asked in ("docker", "auto"):  # An image that the user names is meant.
            with pytest.raises(UnavailableError, match=said):
                engine.find(asked)
    monkeypatch.setenv(image.IMAGE_VARIABLE, "hil-arm")
    found = engine.find("docker")
    assert (found.modelled, found.version.partition(",")[0]) == (False, f"{PROGRAM} 11.24.13")
    monkeypatch.setenv(container.MOUNTS_VARIABLE, "nowhere")
    with pytest.raises(BadInputError, match="names nowhere"):
        engine.find("docker")


def test_an_installed_fvp_runs_in_an_image_that_has_none(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daemon.load("hil-empty", tree({}))
    shim.write(tmp_path)
    tmp_path.chmod(0o755)
    monkeypatch.setenv(image.IMAGE_VARIABLE, "hil-empty")
    monkeypatch.setenv(container.MOUNTS_VARIABLE, ":".join([*python_folders(), str(tmp_path)]))
    assert engine.find("docker").command[-1] == str(tmp_path / PROGRAM)


# -- isolation


def test_a_container_has_no_network(inside: Run) -> None:
    code, said = shell(inside, "ls /sys/class/net; wc -l </proc/net/route; exec 3<>/dev/tcp/127.0.0.1/1")
    assert said.split()[:2] == ["lo", "1"]  # The one line is the table's heading.
    assert code != 0
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    assert inside(sys.executable, "-c", probe).said.endswith("Network is unreachable\n")


def test_a_container_writes_nowhere_but_in_its_scratch(inside: Run) -> None:
    places = ["/", "/tmp", "/etc", "/opt", "/usr", "/usr/local/bin", "/sys", "/proc/sys/kernel", *python_folders()]
    script = "\n".join(f"(echo x >{place}/written) && echo WRITTEN {place}" for place in places)
    _, said = shell(inside, f"{script}\necho x >/scratch/a && echo x >/dev/shm/a && echo scratch")
    assert "WRITTEN" not in said
    assert said.endswith("scratch\n")
    for folder in python_folders():
        assert not (Path(folder) / "written").exists()


def test_what_of_this_machine_is_seen_is_read_only_whoever_may_write_it_here(
    inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "file").write_text("read")
    monkeypatch.setenv(container.MOUNTS_VARIABLE, ":".join([*python_folders(), str(tmp_path)]))
    code, said = shell(inside, f"cat {tmp_path}/file; echo x >{tmp_path}/written")
    assert said.startswith("read")
    assert "Read-only file system" in said
    assert (code != 0, sorted(tmp_path.iterdir())) == (True, [tmp_path / "file"])


def test_a_container_is_nobody_without_capabilities(inside: Run) -> None:
    _, said = shell(inside, "id -u; id -g; cat /proc/self/status; chown 0 /scratch; mount -t tmpfs x /tmp; su; :")
    status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert said.split()[:2] == ["65534", "65534"]
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert said.lower().count("not permitted") + said.lower().count("must be superuser") >= 2


def test_memory_processes_and_scratch_are_bounded(inside: Run) -> None:
    small = container.Limits(memory=64 << 20, processes=20)
    hog = "x = bytearray(1 << 30)\nfor at in range(0, len(x), 4096): x[at] = 1"
    assert inside(sys.executable, "-S", "-c", hog, limits=small).code == 128 + signal.SIGKILL
    forks = "import os, time\nfor n in range(200):\n if not os.fork(): time.sleep(60)"
    ended = inside(sys.executable, "-S", "-c", forks, limits=small)
    assert "BlockingIOError" in ended.said
    code, said = shell(inside, "head -c 400000000 /dev/zero >/scratch/big || echo full")
    assert "No space left" in said, (code, said)


def test_the_outputs_are_bounded(inside: Run) -> None:
    with pytest.raises(ProtocolError, match="more than"):
        inside("sh", "-c", "head -c 1000000 /dev/zero >/scratch/out.0", outputs=[1000])
    with pytest.raises(ProtocolError, match=r"in files of \[1001\], not of \[1000\]"):
        inside("sh", "-c", "head -c 1001 /dev/zero >/scratch/out.0", outputs=[1000])
    ended = inside(
        "sh", "-c", "cat in.1 in.0 >out.1; echo end >&2; exit 7", inputs=[b"a\0", b"\n" * 9], outputs=[5, 11]
    )
    assert ended == session.Ended(7, "end\n", (b"", b"\n" * 9 + b"a\0"))


def test_a_program_that_makes_no_end_of_its_messages_keeps_their_end(inside: Run) -> None:
    ended = inside("sh", "-c", "head -c 1000000 /dev/zero >&2; echo last >&2")
    assert ended.said.endswith("\0last\n")
    assert len(ended.said) == 1 << 16


# -- the end


def test_a_program_is_killed_on_time_out(inside: Run) -> None:
    start = time.monotonic()
    with pytest.raises(HangError, match=r"did not end in 1 s"):
        inside("sleep", "600.25", limit_s=1)
    assert time.monotonic() - start < 10
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
        session.run(daemon.client, daemon.image("hil-fvp"), ["true"], len, limit_s=60)


@pytest.fixture
def started(daemon: Daemon) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that runs a program in a container for a long time, and its child that holds the container."""
    code = (
        "import os, subprocess, sys\n"
        "os.environ['HIL_FVP_PARENT'] = str(os.getpid())\n"
        "child = subprocess.Popen([sys.executable, '-m', 'hil.fvp.engines.contained', *sys.argv[1:]])\n"
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


def _until(holds: Callable[[], bool], otherwise: str, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, otherwise
        time.sleep(0.02)


@pytest.mark.parametrize("whom", ["parent", "child"])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_leaves_no_container(
    daemon: Daemon, started: tuple[subprocess.Popen[bytes], int], whom: str, sign: signal.Signals
) -> None:
    """Whoever dies: the child is told by the kernel, and the container by the end of its input."""
    process, child = started
    os.kill(process.pid if whom == "parent" else child, sign)
    _until(lambda: not daemon.containers() and not running_with("987.5"), "the container is still there")


def test_what_a_killed_run_left_is_gone_after_the_next(daemon: Daemon, inside: Run) -> None:
    """A run that is killed between making and starting its container leaves one that no daemon removes."""
    settings = container._settings(["true"], 0, container.Limits())
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


# -- the image


@pytest.fixture(scope="module")
def base(daemon: Daemon) -> str:
    """An image in which fvp/Dockerfile can work without a registry."""
    try:
        programs = with_libraries(
            "sh", "cat", "chmod", "cp", "curl", "gzip", "head", "ln", "mkdir", "rm", "sha256sum", "tail", "tar",
            "uname", "wc",
        )  # fmt: skip
    except NoDaemonError as error:
        _missing(str(error))
        raise
    daemon.load("hil-base", tree(programs))
    return "hil-base"


def build(daemon: Daemon, base: str, **arguments: str) -> str:
    """Builds fvp/Dockerfile as the image `hil-built`; gives the log, or raises the error with it."""
    import docker.errors

    folder = Path(engine.__file__).parent
    try:
        _, log = daemon.client.images.build(
            path=str(folder), tag="hil-built", buildargs={"BASE": base, **arguments}, network_mode="host", rm=True,
            forcerm=True,
        )  # fmt: skip
    except docker.errors.BuildError as error:
        return "".join(str(line.get("stream", line.get("error", ""))) for line in error.build_log)
    return "".join(str(line.get("stream", "")) for line in log)


def test_the_image_is_built_only_for_who_accepts_the_licence(daemon: Daemon, base: str, server: Server) -> None:
    url = server.url("fvp.tgz", packed())
    for accepted in ("", "no", "1"):
        assert "Arm's licence is not accepted" in build(
            daemon, base, FVP_URL=url, FVP_SHA256="0" * 64, ARM_LICENCE_ACCEPTED=accepted
        )
    assert server.asked == []


def test_the_image_has_what_the_checksum_names_and_the_engine_runs_it(
    daemon: Daemon, base: str, server: Server, monkeypatch: pytest.MonkeyPatch,
    compiled: Compile, runner: firmware.Firmware,
) -> None:  # fmt: skip
    import hashlib

    data = packed()
    url = server.url("fvp.tgz", data)
    assert "FAILED" in build(daemon, base, FVP_URL=url, FVP_SHA256="0" * 64, ARM_LICENCE_ACCEPTED="yes")
    assert "needs FVP_SHA256" in build(daemon, base, FVP_URL=url, ARM_LICENCE_ACCEPTED="yes")
    log = build(daemon, base, FVP_URL=url, FVP_SHA256=hashlib.sha256(data).hexdigest(), ARM_LICENCE_ACCEPTED="yes")
    assert "Successfully built" in log, log
    monkeypatch.setenv(image.IMAGE_VARIABLE, "hil-built")
    assert engine.find("docker").command[-1] == f"/opt/arm/bin/{PROGRAM}"
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(1).integers(-128, 128, (49, 10, 1), np.int8)
    assert list(run_inference(model, [data.tobytes()], [12], engine="docker").outputs) == oracle(int8, data)
