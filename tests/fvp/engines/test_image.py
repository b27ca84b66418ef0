"""`fvp/Dockerfile`, built on a real daemon from an archive on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hil.fvp.engines import engine, image, search
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from tests.support.reference import oracle

from .archive_server import Server, packed
from .docker_daemon import Daemon, NoDaemonError, tree, with_libraries

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.usefixtures("docker_environment")]

Compile = Callable[..., tuple[bytes, bytes]]
PROGRAM = search.EXECUTABLES["ethos-u55"][0]


@pytest.fixture(scope="module")
def base(daemon: Daemon, missing: Callable[[object], NoReturn]) -> str:
    """An image in which fvp/Dockerfile can work without a registry."""
    try:
        programs = with_libraries(
            "sh", "cat", "chmod", "cp", "curl", "gzip", "head", "ln", "mkdir", "rm", "sha256sum", "tail", "tar",
            "uname", "wc",
        )  # fmt: skip
    except NoDaemonError as error:
        missing(error)
    daemon.load("hil-base", tree(programs))
    return "hil-base"


def build(daemon: Daemon, base: str, **arguments: str) -> str:
    """Builds fvp/Dockerfile as the image `hil-built`; gives the log, or raises the error with it."""
    import docker.errors

    folder = Path(engine.__file__).parents[1]
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
