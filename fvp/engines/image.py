"""The Docker image that has an FVP, and what that FVP is.

image = find(("FVP_Corstone_SSE-300_Ethos-U55",))
image.id, image.program, image.version
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.core.errors import UnavailableError
from hil.fvp.command_line import contract
from hil.fvp.engines import container_session, search, startup
from hil.fvp.engines.container import connect, mounts

IMAGE = "hil-fvp"
"""Name of the image that the `docker build` in the hint makes."""

IMAGE_VARIABLE = "HIL_FVP_IMAGE"
"""Environment variable that names another image."""

_SECONDS = 60
_FOLDER = Path(__file__).parent.parent
_BUILD = f"docker build --build-arg ARM_LICENCE_ACCEPTED=yes --tag {IMAGE} {_FOLDER}"

_FIND = 'for name in "$@"; do if command -v "$name"; then exec "$name" --version; fi; done'
"""Prints the path of the first program there is, then what it says of its version."""


@dataclass(frozen=True)
class Image:
    """An image that has an FVP: its id, the program's path in it, and what that program says it is."""

    id: str
    program: str
    version: str
    is_open: bool


def find(names: Sequence[str]) -> Image:
    """The image with one of Arm's executables `names`, on its PATH or in a folder of this machine that it sees.

    Raises `UnavailableError` for want of daemon, image or program.
    """
    wanted = os.environ.get(IMAGE_VARIABLE) or IMAGE
    with contextlib.closing(connect()) as client:
        identity = _identity(client, wanted)
    seen = mounts()
    here = [place / name for folder in seen for place in search.below(Path(folder)) for name in names]
    return _ask(identity, wanted, (*names, *(str(path) for path in here if search.is_executable(path))), seen)


def _identity(client: Any, wanted: str) -> str:
    import docker.errors

    try:
        return str(client.images.get(wanted).id)
    except docker.errors.ImageNotFound:
        raise UnavailableError(f"there is no Docker image {wanted}", hint=_BUILD) from None
    except docker.errors.DockerException as error:
        raise UnavailableError(f"Docker does not give the image {wanted}: {error}") from None


@functools.cache
def _ask(identity: str, wanted: str, names: tuple[str, ...], seen: tuple[str, ...]) -> Image:
    """Runs the image's program once for its version; an image's id stands for its content, `seen` for what it sees."""
    said = bytearray()
    with contextlib.closing(connect()) as client:
        command = ["sh", "-c", _FIND, "sh", *names]
        ended = container_session.run(client, identity, command, said.extend, limit_s=_SECONDS)
    program, _, version = said.decode(errors="replace").strip().partition("\n")
    if not program:
        raise UnavailableError(f"the Docker image {wanted} has none of {', '.join(names)} on its PATH", hint=_BUILD)
    if ended.code:
        last = (ended.said or version).strip()[-300:]
        raise UnavailableError(f"{program} in the image {wanted} does not start: {last}", hint=startup.hint(last))
    number, is_open = startup.number(version), contract.OPEN_NAME in version
    if not number and not is_open:
        raise UnavailableError(f"{program} in the image {wanted} is no FVP: it answers {version[:300]!r} to --version")
    told = version.splitlines()[0] if is_open else f"{Path(program).name} {number}"
    return Image(identity, program, f"{told}, image {identity.removeprefix('sha256:')[:12]}", is_open)
