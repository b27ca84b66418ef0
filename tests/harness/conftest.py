"""Fixtures of the harness's tests: store, int8 file, another Vela, fortnight of nights, PostgreSQL server, browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.harness.vela.other_versions import OtherVela
from hil.targets.firmware.build import build
from tests.support import nights
from tests.support import postgresql as support
from tests.support.blobs import model_file, write
from tests.support.fortnight import Fortnight, Parts, record

if TYPE_CHECKING:
    from tests.support.browser import Browser


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all workers of this run, so that the blobs are trained once."""
    base = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each worker a folder of its own.
    shared = base.parent if base.name.startswith("popen-") else base
    return shared / "blobs-store"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[object], NoReturn]) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    pytest.importorskip("selenium")
    from tests.support.browser import find_programs, start

    programs = find_programs()
    if programs is None:
        missing("Chromium and its driver are not installed")
    with start(tmp_path_factory.mktemp("browser"), programs) as started:
        yield started


@pytest.fixture(scope="session")
def other_vela(
    store: Path, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[object], NoReturn]
) -> OtherVela:
    """Vela 4.5.0 in an environment of its own, once for all workers; needs the package index.

    Two install it at the same time: one of them makes it.  This environment's constraint is not that of the other.
    """
    vela = OtherVela("4.5.0", store.parent / "cache" / "ethosu-hil" / "vela")
    said: list[str] = []
    constraint = tmp_path_factory.mktemp("constraint") / "constraints.txt"
    constraint.write_text("ethos-u-vela==5.2.0\n")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setenv("PIP_CONSTRAINT", str(constraint))
        installations = [pool.submit(vela.install, said.append) for _ in range(2)]
    try:
        for done in installations:
            done.result()
    except UnavailableError as error:
        missing(error)
    assert vela.is_installed
    assert said.count("making its environment") <= 1
    return vela


@pytest.fixture(scope="session")
def blobs_int8(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The blobs as an int8 TFLite file, made by `hil optimize`."""
    folder = write(tmp_path_factory.mktemp("blobs"), {"models/blobs.py": model_file()})
    command = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--store", str(store), "-o", "int8.tflite"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "int8.tflite"


@pytest.fixture(scope="session")
def postgresql(missing: Callable[[object], NoReturn]) -> Iterator[support.Server]:
    """A PostgreSQL server; tests of a file that use it run on one worker, `xdist_group("postgresql")`."""
    if support.programs() is None:
        missing("PostgreSQL is not installed")
    with support.server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def results_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a new results database, on each of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'results.db'}"
    server: support.Server = request.getfixturevalue("postgresql")
    return server.new_schema()


@pytest.fixture(scope="session")
def fortnight(request: pytest.FixtureRequest, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Fortnight:
    """The scripted fortnight; tests that use it run on one worker, `xdist_group("fortnight")`."""

    def here(fixture: str) -> Any:
        try:
            return request.getfixturevalue(fixture)
        except pytest.skip.Exception:  # the tests of the events that need it skip
            return None

    parts = Parts(here("other_vela"), here("runner") is not None, here("monitor") is not None)
    return record(nights.make(tmp_path_factory.mktemp("fortnight"), store), parts)


@pytest.fixture(scope="session")
def monitor(qemu: None, missing: Callable[[object], NoReturn]) -> Path:
    """The firmware of the virtual board."""
    try:
        return build().elf
    except UnavailableError as error:
        missing(error)
