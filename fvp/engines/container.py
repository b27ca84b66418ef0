"""The Docker side of the engine `docker`: daemon, the box a program runs in, and what killed runs left behind.

    with box(connect(), "hil-fvp", ["FVP_Corstone_SSE-300_Ethos-U55", "--version"], scratch_bytes=0) as container: ...

=============== ==========================================================================================
a container has because
=============== ==========================================================================================
no network      firmware and simulator have nobody to talk to
no writing      its root is read-only; `SCRATCH` and /dev/shm are memory, of bounded size
no privileges   user 65534, no capabilities, none to be gained
limits          memory, processes, processors (`ContainerLimits`); its time is the run's, and ends with its client
nothing of host but the folders in `HIL_FVP_MOUNTS`, read-only
=============== ==========================================================================================

The daemon removes a container when its program ends, and its program ends when its client does (see `session`).  What a
client left that was killed before it started its container, `sweep` removes at the next run; the label `LABEL` says
whose a container is.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, UnavailableError

MOUNTS_VARIABLE = "HIL_FVP_MOUNTS"
"""Environment variable with folders of this machine, separated by colons, that containers see read-only at the same
path: an installed FVP, with the libraries that it needs, runs in an image that has none.
"""

LABEL = "org.ethosu-hil.fvp"
"""Label of this project's containers; its value says which process of which machine started one."""

SCRATCH = "/scratch"
"""Folder in the container that may be written: memory that ends with it."""

_SPARE = 256 << 20
"""Bytes of scratch beside what is known to lie there."""

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 60
_SOCKET = Path("/var/run/docker.sock")
"""Sockets at which a daemon is looked for without DOCKER_HOST, but for Windows."""


@dataclass(frozen=True)
class ContainerLimits:
    """Limits of a container: bytes of memory (scratch included), processes and threads, processors."""

    memory: int = 4 << 30
    processes: int = 256
    processors: float = 2.0


def connect() -> Any:
    """A client of the Docker daemon (`docker.DockerClient`); raises `UnavailableError` where there is none."""
    if not os.environ.get("DOCKER_HOST") and os.name == "posix" and not _SOCKET.exists():
        raise UnavailableError(f"no Docker daemon is here: there is no {_SOCKET}", hint="start one, or set DOCKER_HOST")
    try:
        import docker
    except ImportError:
        raise UnavailableError("the Docker SDK is not installed", hint="pip install 'ethosu-hil[docker]'") from None
    try:
        client = docker.from_env(timeout=_CONNECT_SECONDS)
        client.ping()
        client.api.timeout = _ANSWER_SECONDS
    except Exception as error:  # requests', urllib3's and the SDK's own, by the kind of connection
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UnavailableError(f"no Docker daemon answers: {said}", hint="start it, or set DOCKER_HOST") from None
    return client


@contextlib.contextmanager
def box(
    client: Any, image: str, command: Sequence[str], scratch_bytes: int, limits: ContainerLimits | None = None
) -> Iterator[Any]:
    """A container that is not started yet, gone at the end whatever happens (`docker.models.containers.Container`)."""
    import docker.errors

    limits = limits or ContainerLimits()
    try:
        container = client.containers.create(image, **_settings(command, scratch_bytes, limits))
    except docker.errors.DockerException as error:
        raise UnavailableError(f"Docker makes no container of {image}: {error}") from None
    try:
        yield container
    finally:
        _remove(container)


def _settings(command: Sequence[str], scratch_bytes: int, limits: ContainerLimits) -> dict[str, Any]:
    folder = f"rw,nosuid,nodev,size={scratch_bytes + _SPARE},uid={_NOBODY},gid={_NOBODY},mode=700"
    return {
        "entrypoint": [],
        "command": list(command),
        "environment": {"HOME": SCRATCH, "TMPDIR": SCRATCH},
        "working_dir": "/",
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {SCRATCH: folder},
        "shm_size": limits.memory,
        "user": f"{_NOBODY}:{_NOBODY}",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ipc_mode": "private",
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "pids_limit": limits.processes,
        "nano_cpus": int(min(limits.processors, os.cpu_count() or 1) * 1e9),
        "log_config": {"type": "none"},
        "volumes": {folder: {"bind": folder, "mode": "ro"} for folder in mounts()},
        "labels": {LABEL: owner()},
        "auto_remove": True,
        "stdin_open": True,
    }


_NOBODY = 65534


def mounts() -> tuple[str, ...]:
    """The folders that `HIL_FVP_MOUNTS` names; raises `BadInputError` for one that is none."""
    folders = tuple(filter(None, os.environ.get(MOUNTS_VARIABLE, "").split(":")))
    for folder in folders:
        if not Path(folder).is_absolute() or not Path(folder).is_dir():
            raise BadInputError(f"{MOUNTS_VARIABLE} names {folder}, which is no folder", hint="full paths, by colons")
    return folders


def _remove(container: Any) -> None:
    """Ends and removes a container; where the daemon is at it already, waits until it is gone."""
    import docker.errors

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        with contextlib.suppress(docker.errors.NotFound):
            container.wait(condition="removed", timeout=_ANSWER_SECONDS)


# -- whose a container is


def owner(pid: int | None = None) -> str:
    """The value of `LABEL`: the machine, its process namespace, and one process by id and time of start."""
    pid = os.getpid() if pid is None else pid
    return f"{_machine()} {pid} {_started(pid)}"


@functools.cache
def _machine() -> str:
    """This machine since its start, and the namespace in which process ids count."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _started(pid: int) -> str:
    """Start time of a process, in the kernel's ticks; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def sweep(client: Any) -> int:
    """Removes the containers that killed runs of this machine left; gives how many."""
    import docker.errors

    removed = 0
    with contextlib.suppress(docker.errors.DockerException):
        for container in client.api.containers(all=True, filters={"label": LABEL}):
            machine, _, process = container["Labels"][LABEL].partition(" ")
            pid, _, started = process.partition(" ")
            if machine == _machine() and not (pid.isdigit() and started and _started(int(pid)) == started):
                with contextlib.suppress(docker.errors.NotFound):
                    client.api.remove_container(container["Id"], force=True, v=True)
                    removed += 1
    return removed
