"""Fixtures of the engines' tests: a Docker daemon and a server of archives."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from hil.fvp.engines import container, container_session, image, search, shim
from tests.support.processes import running_with

from .archive_server import Server
from .docker_daemon import Daemon, NoDaemonError, python_folders, tree
from .docker_supervisor import mounts_below

RunInside = Callable[..., container_session.EndedContainer]


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

    def run(*words: str, uart: Callable[[bytes], object] = len, **settings: object) -> container_session.EndedContainer:
        return container_session.run(daemon.client, daemon.image("hil-fvp"), words, uart, **{"limit_s": 60, **settings})  # type: ignore[arg-type]

    return run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    with Server(folder) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()
