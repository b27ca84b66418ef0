"""The engine `docker` on a real daemon: its inferences, and the confinement of programs in its containers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError, ProtocolError, UnavailableError
from hil.core.measurement import Trust
from hil.core.npu_config import NpuConfig
from hil.fvp.engines import container, container_session, engine, image, search, shim
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.reference import oracle

from .conftest import RunInside
from .docker_daemon import Daemon, python_folders, tree

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.usefixtures("docker_environment")]

Compile = Callable[..., tuple[bytes, bytes]]
PROGRAM = search.EXECUTABLES["ethos-u55"][0]


def shell(inside: RunInside, script: str, **settings: object) -> tuple[int, str]:
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
    slow = NpuConfig(system_config="Ethos_U55_Deep_Embedded", config_text=_vela_ini())
    inside, outside = (
        run_inference(model, [data.tobytes()], [12], engine=name, npu=slow) for name in ("docker", "open")
    )
    assert list(inside.outputs) == oracle(int8, data) == list(outside.outputs)
    assert (inside.engine, inside.modelled, inside.counters) == ("docker", True, outside.counters)
    assert inside.pmu is not None
    assert inside.pmu == outside.pmu


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


def test_a_container_has_no_network(inside: RunInside) -> None:
    code, said = shell(inside, "ls /sys/class/net; wc -l </proc/net/route; exec 3<>/dev/tcp/127.0.0.1/1")
    assert said.split()[:2] == ["lo", "1"]  # The one line is the table's heading.
    assert code != 0
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    assert inside(sys.executable, "-c", probe).said.endswith("Network is unreachable\n")


def test_a_container_writes_nowhere_but_in_its_scratch(inside: RunInside) -> None:
    places = ["/", "/tmp", "/etc", "/opt", "/usr", "/usr/local/bin", "/sys", "/proc/sys/kernel", *python_folders()]
    script = "\n".join(f"(echo x >{place}/written) && echo WRITTEN {place}" for place in places)
    _, said = shell(inside, f"{script}\necho x >/scratch/a && echo x >/dev/shm/a && echo scratch")
    assert "WRITTEN" not in said
    assert said.endswith("scratch\n")
    for folder in python_folders():
        assert not (Path(folder) / "written").exists()


def test_what_of_this_machine_is_seen_is_read_only_whoever_may_write_it_here(
    inside: RunInside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "file").write_text("read")
    monkeypatch.setenv(container.MOUNTS_VARIABLE, ":".join([*python_folders(), str(tmp_path)]))
    code, said = shell(inside, f"cat {tmp_path}/file; echo x >{tmp_path}/written")
    assert said.startswith("read")
    assert "Read-only file system" in said
    assert (code != 0, sorted(tmp_path.iterdir())) == (True, [tmp_path / "file"])


def test_a_container_is_nobody_without_capabilities(inside: RunInside) -> None:
    _, said = shell(inside, "id -u; id -g; cat /proc/self/status; chown 0 /scratch; mount -t tmpfs x /tmp; su; :")
    status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert said.split()[:2] == ["65534", "65534"]
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert said.lower().count("not permitted") + said.lower().count("must be superuser") >= 2


def test_memory_processes_and_scratch_are_bounded(inside: RunInside) -> None:
    small = container.ContainerLimits(memory=64 << 20, processes=20)
    hog = "x = bytearray(1 << 30)\nfor at in range(0, len(x), 4096): x[at] = 1"
    assert inside(sys.executable, "-S", "-c", hog, limits=small).code == 128 + signal.SIGKILL
    forks = "import os, time\nfor n in range(200):\n if not os.fork(): time.sleep(60)"
    ended = inside(sys.executable, "-S", "-c", forks, limits=small)
    assert "BlockingIOError" in ended.said
    code, said = shell(inside, "head -c 400000000 /dev/zero >/scratch/big || echo full")
    assert "No space left" in said, (code, said)


def test_the_outputs_are_bounded(inside: RunInside) -> None:
    with pytest.raises(ProtocolError, match="more than"):
        inside("sh", "-c", "head -c 1000000 /dev/zero >/scratch/out.0", outputs=[1000])
    with pytest.raises(ProtocolError, match=r"in files of \[1001\], not of \[1000\]"):
        inside("sh", "-c", "head -c 1001 /dev/zero >/scratch/out.0", outputs=[1000])
    ended = inside(
        "sh", "-c", "cat in.1 in.0 >out.1; echo end >&2; exit 7", inputs=[b"a\0", b"\n" * 9], outputs=[5, 11]
    )
    assert ended == container_session.EndedContainer(7, "end\n", (b"", b"\n" * 9 + b"a\0"))


def test_a_program_that_makes_no_end_of_its_messages_keeps_their_end(inside: RunInside) -> None:
    ended = inside("sh", "-c", "head -c 1000000 /dev/zero >&2; echo last >&2")
    assert ended.said.endswith("\0last\n")
    assert len(ended.said) == 1 << 16
