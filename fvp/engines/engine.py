"""Choice of the program that plays the FVP.

    engine = find("auto")
    engine.name, engine.version, engine.command, engine.why

======= =====================================================================================================
name    program
======= =====================================================================================================
arm     Arm's own FVP or AVH model, if this machine has it: named by the user, on PATH, or where it installs to
docker  the same in a container without network, from an image that `fvp/Dockerfile` makes
open    `corstone300`: stock QEMU and the modelled NPU; runs everywhere QEMU does
auto    the first of these that works; `why` says what was the matter with those before it
======= =====================================================================================================

All take the same command line.  An open executable that bears Arm's name (other tools' scripts look for one) says
itself what it is: it is started as it was found, and called `open`.  Arm's program itself was not at hand to try `arm`
and `docker` with: they are written to Arm's documentation and tested with the open executable under Arm's name.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from hil.core.errors import BadInputError, UnavailableError
from hil.fvp.engines import search, startup

NAMES = ("auto", "arm", "docker", "open")

OPEN_COMMAND = (sys.executable, "-m", "hil.fvp.corstone300")
"""Command that starts the open executable where no other is named."""

_ABSENT = "Arm's Corstone-300 FVP is not on this machine"


@dataclass(frozen=True)
class Engine:
    """A program that takes the FVP's command line: `command` is what its arguments are appended to.

    `version` identifies program and version in records; `modelled` says that cycles are our timing model's.
    `environment` is what the program needs beside this process's own.  `tied` programs are this project's: they end
    with their parent if they are given its process id.  `why` is the reason of `auto`'s choice, empty if it did not
    choose.
    """

    name: str
    version: str
    command: tuple[str, ...]
    modelled: bool
    tied: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def elsewhere(self) -> bool:
        """True if the FVP is no process of this machine that can be watched: a daemon runs it, perhaps far away."""
        return self.name == "docker"


def check_name(name: str) -> None:
    """Raises `BadInputError` for a name that no engine has; starts nothing."""
    if name not in NAMES:
        raise BadInputError(f"no engine is called {name!r}", hint=f"known are {', '.join(NAMES)}")


def find(name: str = "auto", executable: Path | None = None, npu: str = "ethos-u55") -> Engine:
    """The engine called `name`; `executable` is Arm's program, or its folder, if the user named it.

    Raises `BadInputError` for a name that is none, `UnavailableError` if it is not on this machine or does not start.
    """
    check_name(name)
    if executable is not None and name in ("docker", "open"):
        raise BadInputError(f"engine {name} takes no executable", hint="leave it out, or use --engine arm")
    if name == "auto":
        return _first(executable, npu)
    return {"arm": lambda: _arm(executable, npu), "docker": lambda: _docker(npu), "open": _open}[name]()


def _first(executable: Path | None, npu: str) -> Engine:
    """The first engine that works.

    Modelled cycles must not stand in for those of a program that the user named: that one raises, as does want of all.
    """
    from hil.fvp.engines.image import IMAGE_VARIABLE

    passed = []
    found = search.first(executable, npu)
    if found is None:
        passed.append("arm: not on this machine")
    else:
        try:
            engine = _started(found, npu)
        except UnavailableError as error:
            if found.named:
                raise
            passed.append(f"arm: {error}")
        else:
            return replace(engine, why=f"{engine.name}: {found.path.name} {found.where}")
    try:
        return replace(_docker(npu), why="; ".join([*passed, "docker: its image is here"]))
    except UnavailableError as error:
        if os.environ.get(IMAGE_VARIABLE):
            raise
        passed.append(f"docker: {error.args[0]}")
    return replace(_open(), why="; ".join([*passed, "open: needs neither"]))


def _arm(executable: Path | None, npu: str) -> Engine:
    found = search.first(executable, npu)
    if found is None:
        raise UnavailableError(
            _ABSENT, hint=f"`hil fvp install` fetches it; or put it on PATH, or name it in {search.VARIABLES[0]}"
        )
    return _started(found, npu)


def _started(found: search.Found, npu: str) -> Engine:
    started = startup.start(found.path)
    environment = dict(started.environment)
    if started.is_open:
        return Engine("open", started.said.splitlines()[0], (str(found.path),), modelled=True, environment=environment)
    version = f"{found.path.name} {started.version}"
    return Engine("arm", version, (str(found.path),), modelled=False, environment=environment)


def _docker(npu: str) -> Engine:
    from hil.fvp.engines import image

    found = image.find(search.names_of(npu))
    command = (sys.executable, "-m", "hil.fvp.engines.container_program", found.id, found.program)
    return Engine("docker", found.version, command, modelled=found.is_open, tied=True)


def _open() -> Engine:
    from hil.fvp.corstone300 import version

    return Engine("open", version(), OPEN_COMMAND, modelled=True, tied=True)
